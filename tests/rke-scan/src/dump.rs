//! The ways in which memory reaches the disk: gcore, the kernel's crash dumps, and swap.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rke_secret::trace::page_out;

use crate::needles::Needles;
use crate::network::DOMAIN;
use crate::process::{Scan, scan_file};
use crate::report::{Expected, Limit, Report};
use crate::subject::{Plan, Subject, file_in, use_session};

/// Runs each kind of dump once.
pub(crate) fn run_all(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    gcore(plan, report).context("gcore")?;
    crash(plan, report).context("core dump")?;
    swap(plan, report).context("swap")
}

/// A daemon whose one session was used and deleted.
fn subject_after_delete(plan: &Plan<'_>, flags: &[&str]) -> Result<Subject> {
    let mut subject = Subject::start(plan, flags)?;
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    use_session(subject.api, &id, 1000)?;
    subject.learn()?;
    subject.api.expect(&format!("session/delete?session_id={id}"))?;
    Ok(subject)
}

fn gcore(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    let subject = subject_after_delete(plan, &[])?;
    let stem = file_in(&subject, "dump");
    let process = subject.program.process().to_string();
    let mut command = Command::new("gcore");
    command.args(["-a", "-o"]).arg(&stem).arg(&process).stdout(Stdio::null()).stderr(Stdio::null());
    let status = command.status().context("cannot run gcore; install gdb with: sudo apt-get install gdb")?;
    ensure!(status.success(), "gcore ended with {status}");
    let dump = PathBuf::from(format!("{}.{process}", stem.display()));
    report.add(plan, "gcore -a", "gone", Expected::Nothing, &scan_dump(&dump, &subject.needles)?);
    plan.runtime.block_on(subject.network.stop());
    Ok(())
}

/// With `--insecure-debug`, which lifts what keeps the kernel from dumping.
fn crash(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern")?;
    if pattern.starts_with(['|', '/', '@']) {
        let what = format!("kernel core dumps: they go to {} here", pattern.trim());
        report.not_run(Limit::CoreDumps, what);
        return Ok(());
    }
    let subject = subject_after_delete(plan, &["--insecure-debug"])?;
    let process = subject.program.process();
    let limit = Command::new("prlimit").args(["--core=unlimited", "--pid", &process.to_string()]).status();
    ensure!(limit.is_ok_and(|status| status.success()), "cannot lift the limit on core dumps with prlimit");
    kill(Pid::from_raw(process), Signal::SIGABRT)?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let folder = subject.network.folder().to_path_buf();
    let needles = subject.needles;
    let _ = subject.program.wait()?;
    let dump = loop {
        let files = std::fs::read_dir(&folder)?.flatten().map(|entry| entry.path());
        let is_core = |path: &PathBuf| {
            path.is_file() && path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("core"))
        };
        match files.into_iter().find(is_core) {
            Some(dump) => break dump,
            None if Instant::now() < deadline => thread::sleep(Duration::from_millis(50)),
            None => bail!("no core dump was written to {}", folder.display()),
        }
    };
    report.add(plan, "core dump", "gone", Expected::Nothing, &scan_dump(&dump, &needles)?);
    plan.runtime.block_on(subject.network.stop());
    Ok(())
}

/// All of the daemon's memory is pushed out to a separate swap file, while one session is deleted and another lives.
fn swap(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    // One at a time on this machine: the kernel chooses among swap files.
    let alone = std::fs::File::create(std::env::temp_dir().join("rke-scan-swap.lock"))?;
    alone.lock()?;
    let mut subject = subject_after_delete(plan, &[])?;
    let Some(swap) = SwapFile::start(file_in(&subject, "swap"))? else {
        report.not_run(Limit::Swap, "swap: this system gives no swap file (swapon is refused)");
        return Ok(());
    };
    // Locked memory never goes to disk, so that no secret is there even while it is in use.
    let wallet = subject.network.renew()?;
    use_session(subject.api, &subject.create(&wallet)?, 1000)?;
    subject.learn()?;
    let process = subject.program.process();
    let maps = procfs::process::Process::new(process)?.maps()?;
    let ranges: Vec<_> = maps.iter().map(|map| map.address.0..map.address.1).collect();
    let copy = file_in(&subject, "swapped");
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        page_out(process, &ranges)?;
        thread::sleep(Duration::from_millis(200));
        swap.copy_to(&copy)?;
        if holds_memory(&copy)? || Instant::now() > deadline {
            break;
        }
    }
    report.add(plan, "swap", "all", Expected::Nothing, &scan_dump(&copy, &subject.needles)?);
    drop(swap);
    plan.runtime.block_on(subject.network.stop());
    Ok(())
}

/// A swap file in use. Dropping it ends that.
struct SwapFile(PathBuf);

impl SwapFile {
    /// `None` where the system does not let us.
    fn start(path: PathBuf) -> Result<Option<Self>> {
        let file = std::fs::File::create(&path)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
        // Written out, for a swap file must have no holes.
        std::io::copy(&mut std::io::repeat(0).take(64 * 1024 * 1024), &mut &file)?;
        file.sync_all()?;
        let swap = Self(path);
        ensure!(swap.run("mkswap")?, "mkswap failed");
        Ok(swap.run("swapon")?.then_some(swap))
    }

    /// Past the page cache, which does not know about swapped-out pages.
    fn copy_to(&self, copy: &Path) -> Result<()> {
        let mut command = Command::new("dd");
        command.args(["iflag=direct", "bs=1M", "status=none"]);
        command.arg(format!("if={}", self.0.display())).arg(format!("of={}", copy.display()));
        ensure!(command.status().context("cannot run dd")?.success(), "cannot read the swap file");
        Ok(())
    }

    fn run(&self, program: &str) -> Result<bool> {
        let mut command = Command::new(program);
        command.arg(&self.0).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(command.status().with_context(|| format!("cannot run {program}"))?.success())
    }
}

impl Drop for SwapFile {
    fn drop(&mut self) {
        let _ = self.run("swapoff");
    }
}

/// Whether a dump holds the memory of the process: it has the domain in the clear.
fn holds_memory(dump: &Path) -> Result<bool> {
    let bytes = std::fs::read(dump)?;
    Ok(bytes.windows(DOMAIN.len()).any(|window| window == DOMAIN.as_bytes()))
}

/// Scans a dump, after a look whether it holds the memory of the process at all.
fn scan_dump(dump: &Path, needles: &Needles) -> Result<Scan> {
    ensure!(holds_memory(dump)?, "{} does not hold the memory of the process", dump.display());
    let scan = scan_file(dump, needles);
    std::fs::remove_file(dump)?;
    scan
}
