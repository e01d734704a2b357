//! Dumps of a process: what gcore writes, and what the kernel writes when it crashes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::needles::Needles;
use crate::network::DOMAIN;
use crate::process::{Scan, scan_file};
use crate::report::{Expected, Report};
use crate::scenario::{Plan, Subject, file_in, use_session};

/// Runs each kind of dump once.
pub(crate) fn run_all(plan: &Plan<'_>, report: &mut Report) -> Result<()> {
    gcore(plan, report).context("gcore")?;
    crash(plan, report).context("core dump")
}

/// A session is used and deleted, another one stays; gives the subject with the needles of the
/// first, and the key of the second for a look at what a dump holds of the living.
fn subject_after_delete(plan: &Plan<'_>, flags: &[&str]) -> Result<Subject> {
    let mut subject = Subject::start(plan, flags, None)?;
    let wallet = subject.network.renew()?;
    let id = subject.create(&wallet)?;
    use_session(subject.api, &id, 1000)?;
    subject.network.add_needles(&mut subject.needles);
    subject.api.expect(&format!("session/delete?session_id={id}"))?;
    // The cached key's domain is in memory in the clear: a dump without it is no dump.
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
        report.not_run(what);
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
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            None => bail!("no core dump was written to {}", folder.display()),
        }
    };
    report.add(plan, "core dump", "gone", Expected::Nothing, &scan_dump(&dump, &needles)?);
    plan.runtime.block_on(subject.network.stop());
    Ok(())
}

/// Scans a dump, after a look whether it holds the memory of the process at all.
fn scan_dump(dump: &Path, needles: &Needles) -> Result<Scan> {
    let bytes = std::fs::read(dump)?;
    let found = bytes.windows(DOMAIN.len()).any(|window| window == DOMAIN.as_bytes());
    ensure!(found, "{} does not hold the memory of the process", dump.display());
    drop(bytes);
    let scan = scan_file(dump, needles);
    std::fs::remove_file(dump)?;
    scan
}
