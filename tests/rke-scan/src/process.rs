//! Another process, stopped and read: all its threads' registers and all its memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use procfs::process::{MMPermissions, MMapPath, MemoryMap, Process};
use rke_secret::trace::{Registers, read_registers};

use crate::needles::{Label, Needles, Source};

const CHUNK: usize = 1024 * 1024;
/// A schedule may lie across two chunks.
const OVERLAP: usize = 256;
const PAGE: usize = 4096;
/// That many zero bytes in a row hide no secret.
const ZEROS: usize = 1024;

/// The folders of system libraries.
const LIBRARIES: [&str; 2] = ["/usr/lib", "/lib"];

/// The result of a scan.
#[derive(Debug, Default, Clone)]
pub(crate) struct Scan {
    /// Hits by secret and place.
    pub(crate) hits: BTreeMap<String, usize>,
    pub(crate) scanned_bytes: u64,
    /// Present in memory, but the kernel lets nobody read it.
    pub(crate) unreadable_bytes: u64,
    pub(crate) threads: usize,
    /// The needles of the hits.
    found: BTreeSet<Source>,
    /// Secrets that had to be found and were not.
    pub(crate) missed: BTreeMap<String, usize>,
}

impl Scan {
    pub(crate) fn count(&self) -> usize {
        self.hits.values().sum()
    }

    fn scan_bytes(&mut self, needles: &Needles, bytes: &[u8], place: &str, overlap: usize) {
        self.scanned_bytes += (bytes.len() - overlap) as u64;
        for bytes in without_zeros(bytes) {
            for (_, source) in needles.find(bytes) {
                self.found.insert(source);
                *self.hits.entry(format!("{} in {place}", needles.label(source))).or_default() += 1;
            }
            let paint = needles.find_paint(bytes).count();
            if paint > 0 {
                *self.hits.entry(format!("paint in {place}")).or_default() += paint;
            }
            let schedules = needles.schedules(bytes);
            if schedules > 0 {
                *self.hits.entry(format!("some AES-256 key schedule in {place}")).or_default() += schedules;
            }
        }
    }

    /// Notes which of these were not found.
    pub(crate) fn miss(&mut self, needles: &Needles, living: &[Source]) {
        for source in living.iter().filter(|source| !self.found.contains(source)) {
            *self.missed.entry(needles.label(*source).to_string()).or_default() += 1;
        }
    }

    /// The same for every kind of secret and form that is looked for.
    pub(crate) fn miss_labels(&mut self, needles: &Needles) {
        let found: BTreeSet<Label> = self.found.iter().map(|source| needles.label(*source)).collect();
        let missed = needles.labels().into_iter().filter(|label| !found.contains(label));
        self.missed.extend(missed.map(|label| (label.to_string(), 1)));
    }

    /// Whether any of these was found.
    pub(crate) fn has_found(&self, sources: &[Source]) -> bool {
        sources.iter().any(|source| self.found.contains(source))
    }

    /// Adds what another has found.
    pub(crate) fn add(&mut self, other: Self) {
        self.found.extend(other.found);
        other.hits.into_iter().for_each(|(what, count)| *self.hits.entry(what).or_default() += count);
        self.scanned_bytes += other.scanned_bytes;
        self.unreadable_bytes += other.unreadable_bytes;
    }
}

/// The stretches that are not all zeros, with what lies before and after as far as a secret may reach.
fn without_zeros(bytes: &[u8]) -> Vec<&[u8]> {
    let is_zero = |block: &[u8]| block.iter().fold(0, |sum, byte| sum | byte) == 0;
    let mut stretches: Vec<Range<usize>> = Vec::new();
    for (at, block) in bytes.chunks(ZEROS).enumerate() {
        if is_zero(block) {
            continue;
        }
        let (start, end) =
            ((at * ZEROS).saturating_sub(OVERLAP), ((at + 1) * ZEROS + OVERLAP).min(bytes.len()));
        match stretches.last_mut() {
            Some(last) if start <= last.end => last.end = end,
            _ => stretches.push(start..end),
        }
    }
    stretches.into_iter().map(|stretch| &bytes[stretch]).collect()
}

/// Scans a running process and lets it continue.
pub(crate) fn scan(process: i32, needles: &Needles) -> Result<Scan> {
    let threads = stop_all(process)?;
    let scan = scan_stopped(process, &threads, needles);
    for thread in threads {
        ptrace::detach(thread, None).with_context(|| format!("cannot let thread {thread} go on"))?;
    }
    scan
}

/// Scans a file, a core dump say.
pub(crate) fn scan_file(path: &Path, needles: &Needles) -> Result<Scan> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(scan_bytes(&bytes, "the file", needles))
}

/// Scans bytes that are not in a process.
pub(crate) fn scan_bytes(bytes: &[u8], place: &str, needles: &Needles) -> Scan {
    let mut scan = Scan::default();
    scan.scan_bytes(needles, bytes, place, 0);
    scan
}

/// Lets a process run until it is about to exit, scans it in that moment, and lets it go.
/// `before` is called once the process is traced.
pub(crate) fn scan_at_exit(
    process: i32,
    needles: impl FnOnce() -> Result<Needles>,
    before: impl FnOnce() -> Result<()>,
) -> Result<Scan> {
    let main = Pid::from_raw(process);
    for thread in threads_of(process)? {
        // Threads that this one starts are traced with it.
        let options = Options::PTRACE_O_TRACEEXIT | Options::PTRACE_O_TRACECLONE;
        seize(thread, options)?;
    }
    before()?;
    let mut others: BTreeSet<Pid> = threads_of(process)?.into_iter().collect();
    let scan = loop {
        let status = waitpid(None, Some(WaitPidFlag::__WALL));
        let status = status.context("the process ended without its exit being seen")?;
        match status {
            WaitStatus::PtraceEvent(thread, _, libc::PTRACE_EVENT_EXIT) if thread == main => {
                let scan = scan_stopped(process, &[main], &needles()?);
                ptrace::detach(main, None)?;
                break scan;
            }
            WaitStatus::Exited(thread, _) | WaitStatus::Signaled(thread, ..) if thread == main => {
                bail!("the process ended without its exit being seen")
            }
            _ => go_on(status, &mut others),
        }
    };
    // The process is gone only once its tracer has seen each of its threads exit.
    others.remove(&main);
    while let Some(thread) = others.first().copied() {
        match waitpid(thread, Some(WaitPidFlag::__WALL)) {
            Ok(status) => go_on(status, &mut others),
            Err(_) => drop(others.remove(&thread)),
        }
    }
    scan
}

/// Lets a traced thread go on after a stop, and takes note of those that come and go.
fn go_on(status: WaitStatus, threads: &mut BTreeSet<Pid>) {
    match status {
        WaitStatus::Exited(thread, _) | WaitStatus::Signaled(thread, ..) => drop(threads.remove(&thread)),
        WaitStatus::Stopped(thread, signal) => {
            threads.insert(thread);
            // A thread's first stop is not a signal of its own.
            let signal = (signal != Signal::SIGSTOP && signal != Signal::SIGTRAP).then_some(signal);
            let _ = ptrace::cont(thread, signal);
        }
        WaitStatus::PtraceEvent(thread, ..) | WaitStatus::PtraceSyscall(thread) => {
            threads.insert(thread);
            let _ = ptrace::cont(thread, None);
        }
        _ => (),
    }
}

pub(crate) fn threads_of(process: i32) -> Result<Vec<Pid>> {
    let tasks = Process::new(process).and_then(|process| process.tasks());
    let tasks = tasks.with_context(|| format!("cannot list the threads of process {process}"))?;
    Ok(tasks.flatten().map(|task| Pid::from_raw(task.tid)).collect())
}

/// Begins to trace a thread. False where it has ended; the kernel forbids it for one that is just ending.
fn seize(thread: Pid, options: Options) -> Result<bool> {
    for _ in 0..100 {
        match ptrace::seize(thread, options) {
            Ok(()) => return Ok(true),
            Err(nix::Error::ESRCH) => return Ok(false),
            Err(nix::Error::EPERM) => thread::sleep(Duration::from_millis(2)),
            Err(error) => bail!("cannot trace thread {thread}: {error}"),
        }
    }
    bail!("cannot trace thread {thread}; scanning needs root")
}

/// Stops every thread, those too that start meanwhile.
fn stop_all(process: i32) -> Result<Vec<Pid>> {
    let mut stopped = Vec::new();
    loop {
        let new: Vec<Pid> =
            threads_of(process)?.into_iter().filter(|thread| !stopped.contains(thread)).collect();
        if new.is_empty() {
            return Ok(stopped);
        }
        for thread in new {
            if !seize(thread, Options::empty())? {
                continue;
            }
            ptrace::interrupt(thread)?;
            loop {
                match waitpid(thread, Some(WaitPidFlag::__WALL)) {
                    Ok(WaitStatus::PtraceEvent(_, _, event)) if event == libc::PTRACE_EVENT_STOP => break,
                    // A signal came first: hand it on and wait for the stop.
                    Ok(WaitStatus::Stopped(_, signal)) => ptrace::cont(thread, signal)?,
                    Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(nix::Error::ECHILD) => break,
                    Ok(_) => ptrace::cont(thread, None)?,
                    Err(error) => return Err(error.into()),
                }
            }
            stopped.push(thread);
        }
    }
}

fn scan_stopped(process: i32, threads: &[Pid], needles: &Needles) -> Result<Scan> {
    let mut scan = Scan { threads: threads.len(), ..Scan::default() };
    let mut buffer = vec![0; 64 * 1024];
    for thread in threads {
        let sets: &[Registers] = match cfg!(target_arch = "x86_64") {
            true => &[Registers::General, Registers::Extended],
            false => &[Registers::General, Registers::Vector],
        };
        for set in sets {
            let len = read_registers(thread.as_raw(), *set, &mut buffer);
            let len = len.with_context(|| format!("cannot read the registers of thread {thread}"))?;
            scan.scan_bytes(needles, &buffer[..len], "registers", 0);
        }
    }
    let ranges = memory_of(process)?;
    let memory =
        File::open(format!("/proc/{process}/mem")).context("cannot open the memory of the process")?;
    let (next, all) = (AtomicUsize::new(0), Mutex::new(scan));
    let look = || {
        let (mut scan, mut buffer) = (Scan::default(), vec![0; CHUNK]);
        while let Some((range, place)) = ranges.get(next.fetch_add(1, Ordering::Relaxed)) {
            scan_range(&memory, range.clone(), place, &mut buffer, needles, &mut scan);
        }
        all.lock().unwrap_or_else(PoisonError::into_inner).add(scan);
    };
    // The process stands still meanwhile, so its processors are free.
    thread::scope(|threads| {
        (0..thread::available_parallelism().map_or(1, usize::from)).for_each(|_| drop(threads.spawn(look)));
    });
    Ok(all.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The memory that a process really has, the largest ranges first.
fn memory_of(process: i32) -> Result<Vec<(Range<u64>, String)>> {
    let process = Process::new(process)?;
    let program = process.exe().context("cannot tell the program of the process")?;
    let maps = process.smaps().context("cannot list the memory of the process")?;
    let mut ranges = Vec::new();
    for map in maps {
        let size = |field: &str| map.extension.map.get(field).copied().unwrap_or(0);
        let kernels_own = matches!(map.pathname, MMapPath::Vsyscall | MMapPath::Vvar);
        if (size("Rss") == 0 && size("Swap") == 0) || kernels_own || is_as_on_disk(&map, &program) {
            continue;
        }
        ranges.push((map.address.0..map.address.1, place_of(&map.pathname)));
    }
    ranges.sort_by_key(|(range, _)| std::cmp::Reverse(range.end - range.start));
    Ok(ranges)
}

/// Whether a mapping shows what the file of the program or of a library holds, and nothing else: a page that was written
/// to would be anonymous. The file was there before any secret, and it is most of what a program maps.
fn is_as_on_disk(map: &MemoryMap, program: &Path) -> bool {
    let MMapPath::Path(path) = &map.pathname else { return false };
    let is_code = path == program || LIBRARIES.iter().any(|folder| path.starts_with(folder));
    let is_private = map.perms.contains(MMPermissions::PRIVATE);
    is_code && is_private && map.extension.map.get("Anonymous") == Some(&0)
}

fn place_of(path: &MMapPath) -> String {
    match path {
        MMapPath::Path(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        MMapPath::Anonymous => "anonymous memory".into(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn scan_range(
    memory: &File,
    range: Range<u64>,
    place: &str,
    buffer: &mut [u8],
    needles: &Needles,
    scan: &mut Scan,
) {
    // The bytes at the start of the buffer that were looked at before.
    let (mut at, mut kept) = (range.start, 0);
    while at < range.end {
        let wanted = (range.end - at).min((CHUNK - OVERLAP) as u64) as usize;
        let mut read = memory.read_at(&mut buffer[kept..kept + wanted], at);
        if read.is_err() {
            read = memory.read_at(&mut buffer[kept..kept + PAGE], at);
        }
        match read {
            Ok(read @ 1..) => {
                scan.scan_bytes(needles, &buffer[..kept + read], place, kept);
                let end = kept + read;
                kept = end.min(OVERLAP);
                buffer.copy_within(end - kept..end, 0);
                at += read as u64;
            }
            _ => {
                scan.unreadable_bytes += PAGE as u64;
                at += PAGE as u64;
                kept = 0;
            }
        }
    }
}
