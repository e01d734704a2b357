//! The process's secret memory: slots for secrets, and scratch stacks to work on. [`start`] sets it up once, or the first
//! secret does with the defaults. It grows in steps when it runs out of slots.

use std::io;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::{panic, thread};

use rustix::process::{Resource, getrlimit};

use crate::SecretError;
use crate::lock::lock;
use crate::raw::{Depth, Kind, Map, Reach, SLOT_ROOM, Slot, Stack, write_stderr};
use crate::stacks::{self, Stacks, is_on_stack};

/// The number of slots at the start, and the smallest step by which it grows.
const MIN_SLOTS: usize = 1024;

/// The slots grow by this fraction: secret memory is locked, so unused slots are lost to the rest of the machine.
const GROWTH: usize = 4;

/// The message of a panic that cannot be reported.
const NO_REPORT: &str = "rke: work on a secret panicked, and there is no memory to say where. This is a bug in rke: please \
                         report it.\n";

/// Which memory to hold secrets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretMemory {
    /// The best kind that the system supports.
    #[default]
    Auto,
    /// memfd_secret, or an error.
    Secretmem,
    /// Locked, undumpable, wiped on fork; readable by root.
    Locked,
}

/// How secrets are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReport {
    /// `secretmem` or `locked`.
    pub kind: &'static str,
    /// Bytes of secret memory: slots, scratch stacks and buffers.
    pub bytes: u64,
    /// Secrets that fit without growing.
    pub slots: usize,
    /// Secrets that exist.
    pub slots_used: usize,
}

pub(crate) struct Memory {
    kind: Kind,
    stacks: Stacks,
    free: Mutex<Vec<Slot>>,
    slots: AtomicUsize,
    /// Where secret memory lies, which memory scans leave out. Held while any is mapped or unmapped.
    ranges: Mutex<Vec<Range<u64>>>,
}

static MEMORY: OnceLock<Memory> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// Sets up secret memory of the chosen kind with room for `slots` secrets, all of it present.
///
/// # Errors
/// [`SecretError`], also when secret memory is already set up.
pub fn start(choice: SecretMemory, slots: usize) -> Result<MemoryReport, SecretError> {
    let _starting = lock(&STARTING);
    if MEMORY.get().is_some() {
        return Err(SecretError::AlreadyStarted);
    }
    let memory = Memory::new(choice, slots)?;
    memory.stacks.guard().map_err(failed_to("guard the stacks of secret memory"))?;
    // A panicking thread must not touch the hook: that aborts the process.
    if !thread::panicking() {
        report_panics_off_scratch_stacks();
    }
    Ok(MEMORY.get_or_init(|| memory).report())
}

/// Makes a panic on a scratch stack run its hook on another stack. The hook writes a message and perhaps a backtrace, for
/// which no scratch stack is deep enough.
fn report_panics_off_scratch_stacks() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if is_on_stack() {
            Memory::of_secrets().with_report_stack(|| tell(panic));
        } else {
            tell(panic);
        }
    }));
}

/// Runs `work` on a scratch stack in secret memory; stack and registers are wiped before this
/// returns. Inside another scope it is part of that one. The result of `work` must not be secret.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
pub fn scoped<R>(work: impl FnOnce() -> R) -> Result<R, SecretError> {
    Ok(Memory::get()?.scoped(work))
}

/// Runs `work` outside the current scope, on a fresh stack. Use it to make a value that outlives the scope. Copying a value
/// copies the padding between its fields and the fields that its variant does not have, and on the scope's stack these
/// bytes hold remains of secrets. Takes microseconds, so it is not for frequent calls.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
///
/// # Panics
/// In a scope of such work, inside a use of a [`crate::SecretHandle`], and inside [`scoped_for_kem`]: it would wait for itself.
pub fn run_unscoped<R>(work: impl FnOnce() -> R) -> Result<R, SecretError> {
    if !is_on_stack() {
        return Ok(work());
    }
    stacks::expect_may_leave_scope();
    let memory = Memory::of_secrets();
    let outcome = memory.with_new_stack(|stack| memory.stacks.run_unscoped(stack, work))?;
    Ok(outcome.unwrap_or_else(|panic| resume_unwind(panic)))
}

/// [`scoped`] on a stack that is deep enough for a key encapsulation (X-Wing, that is ML-KEM-768 and X25519). It always
/// uses a stack of its own, even inside a scope.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
///
/// # Panics
/// Inside another such call, and inside a use of a [`crate::SecretHandle`].
pub fn scoped_for_kem<R>(work: impl FnOnce() -> R) -> Result<R, SecretError> {
    Ok(stacks::run(&mut Memory::get()?.stacks.take(Depth::Kem), Reach::WHOLE, work))
}

/// How many bytes of such a stack `work` uses, and how many the stack has.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
///
/// # Panics
/// As [`scoped_for_kem`].
pub fn measure_for_kem(work: impl FnMut()) -> Result<(usize, usize), SecretError> {
    let mut stack = Memory::get()?.stacks.take(Depth::Kem);
    Ok((stacks::measure(&mut stack, work).bytes(), stack.len()))
}

/// The same for a stack of [`scoped`], on which a secret is exposed.
///
/// # Errors
/// [`SecretError`], if secret memory is full.
///
/// # Panics
/// Inside any scope.
pub fn measure_scoped(work: impl FnMut()) -> Result<(usize, usize), SecretError> {
    let mut stack = Memory::get()?.stacks.take(Depth::Deep);
    Ok((stacks::measure(&mut stack, work).bytes(), stack.len()))
}

impl MemoryReport {
    /// How the secrets of this process are held now. `None` before the first.
    pub fn now() -> Option<Self> {
        MEMORY.get().map(Memory::report)
    }
}

impl Memory {
    /// The process's secret memory, set up with the defaults if [`start`] has not run.
    pub(crate) fn get() -> Result<&'static Self, SecretError> {
        if let Some(memory) = MEMORY.get() {
            return Ok(memory);
        }
        match start(SecretMemory::Auto, MIN_SLOTS) {
            Ok(_) | Err(SecretError::AlreadyStarted) => MEMORY.get().ok_or(SecretError::AlreadyStarted),
            Err(error) => Err(error),
        }
    }

    /// The same for callers that hold a secret, so secret memory is set up.
    pub(crate) fn of_secrets() -> &'static Self {
        MEMORY.get().unwrap_or_else(|| unreachable!("a secret lies in secret memory"))
    }

    fn new(choice: SecretMemory, slots: usize) -> Result<Self, SecretError> {
        let kind = match choice {
            SecretMemory::Locked => Kind::Locked,
            SecretMemory::Auto | SecretMemory::Secretmem => match Map::new(1, Kind::Secretmem) {
                Err(error) if is_missing(&error) && choice == SecretMemory::Auto => Kind::Locked,
                Err(error) if is_missing(&error) => return Err(SecretError::NoSecretmem(error)),
                // Any other error, such as no memory, comes again below, where it is reported.
                _ => Kind::Secretmem,
            },
        };
        let stacks = Stacks::new(kind).map_err(no_memory(32 * 1024))?;
        let ranges = Mutex::new(stacks.addresses());
        let memory = Self { kind, stacks, free: Mutex::default(), slots: AtomicUsize::new(0), ranges };
        memory.grow(&mut lock(&memory.free), slots.max(MIN_SLOTS))?;
        Ok(memory)
    }

    fn grow(&self, free: &mut Vec<Slot>, slots: usize) -> Result<(), SecretError> {
        let map = self.map(slots * SLOT_ROOM)?;
        let mut slots_of_map: Vec<Slot> = Slot::split(map).collect();
        self.slots.fetch_add(slots_of_map.len(), Ordering::Relaxed);
        slots_of_map.reverse();
        // Room for all, so that freeing a slot never allocates.
        free.reserve(self.slots.load(Ordering::Relaxed));
        free.append(&mut slots_of_map);
        Ok(())
    }

    /// More secret memory, which memory scans leave out.
    pub(crate) fn map(&self, len: usize) -> Result<Map, SecretError> {
        let mut ranges = self.ranges();
        let map = Map::new(len, self.kind).map_err(no_memory(len))?;
        ranges.push(map.addresses());
        Ok(map)
    }

    /// Wipes and unmaps what [`Memory::map`] gave.
    pub(crate) fn unmap(&self, map: Map) {
        let mut ranges = self.ranges();
        ranges.retain(|range| *range != map.addresses());
        drop(map);
    }

    /// Takes a free slot, whose bytes are zero.
    pub(crate) fn allocate_slot(&self) -> Result<Slot, SecretError> {
        let mut free = lock(&self.free);
        if free.is_empty() {
            self.grow(&mut free, (self.slots.load(Ordering::Relaxed) / GROWTH).max(MIN_SLOTS))?;
        }
        // Unreachable: `grow` adds slots or returns an error.
        free.pop().ok_or(SecretError::AlreadyStarted)
    }

    /// Returns a wiped slot to the free list.
    pub(crate) fn free_slot(&self, slot: Slot) {
        lock(&self.free).push(slot);
    }

    /// See [`scoped`].
    pub(crate) fn scoped<R>(&self, work: impl FnOnce() -> R) -> R {
        if is_on_stack() {
            return work();
        }
        stacks::run(&mut self.stacks.take(Depth::Deep), Reach::WHOLE, work)
    }

    /// A scratch stack for a cipher.
    ///
    /// # Panics
    /// On such a stack.
    pub(crate) fn shallow_stack(&self) -> MutexGuard<'_, Stack> {
        self.stacks.take(Depth::Shallow)
    }

    /// Runs `tell`, which reports a panic, on a fresh stack that is deep enough.
    pub(crate) fn with_report_stack(&self, tell: impl FnOnce()) {
        // A panic in here aborts the process anyway.
        if self.with_new_stack(|stack| stack.run(Reach::WHOLE, tell)).is_err() {
            write_stderr(NO_REPORT);
        }
    }

    /// Makes a fresh stack for one use, as deep as a report needs.
    fn with_new_stack<R>(&self, work: impl FnOnce(&mut Stack) -> R) -> Result<R, SecretError> {
        let mut stack = Stack::over(self.map(Depth::Report.len())?, Depth::Report);
        let done = work(&mut stack);
        self.unmap(stack.into_map());
        Ok(done)
    }

    /// The addresses of secret memory. Until this is dropped, none is mapped or unmapped.
    pub(crate) fn ranges(&self) -> MutexGuard<'_, Vec<Range<u64>>> {
        lock(&self.ranges)
    }

    /// See [`Stacks::clear_idle`].
    pub(crate) fn clear_idle_stacks(&self) -> (u64, u64) {
        self.stacks.clear_idle()
    }

    fn report(&self) -> MemoryReport {
        let bytes = lock(&self.ranges).iter().map(|range| range.end - range.start).sum();
        let slots = self.slots.load(Ordering::Relaxed);
        MemoryReport {
            kind: match self.kind {
                Kind::Secretmem => "secretmem",
                Kind::Locked => "locked",
            },
            bytes,
            slots,
            slots_used: slots - lock(&self.free).len(),
        }
    }
}

/// Whether the kernel has no memfd_secret, or a filter forbids it.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EACCES))
}

fn failed_to(action: &'static str) -> impl FnOnce(io::Error) -> SecretError {
    move |source| SecretError::System { action, source }
}

/// The error of a failed mapping: the limit on locked memory, a filter of system calls, or another reason.
fn no_memory(len: usize) -> impl FnOnce(io::Error) -> SecretError {
    move |source| why_no_memory(source, len, getrlimit(Resource::Memlock).current)
}

/// The same, under this limit. The kernel says EPERM only where nothing may be locked at all.
fn why_no_memory(source: io::Error, len: usize, limit: Option<u64>) -> SecretError {
    match (source.raw_os_error(), limit) {
        (Some(libc::EAGAIN | libc::ENOMEM), Some(limit)) | (Some(libc::EPERM), Some(limit @ 0)) => {
            SecretError::Limit { wanted_kib: len.div_ceil(1024) as u64, limit_kib: limit / 1024 }
        }
        (Some(libc::EPERM | libc::EACCES | libc::ENOSYS), _) => SecretError::Refused(source),
        _ => SecretError::System { action: "map memory for secrets", source },
    }
}
