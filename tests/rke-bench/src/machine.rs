//! The machine: which core does what, and what to call it in a report.

use std::process::Command;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};

pub(crate) const SERVER_CORE: usize = 0;
pub(crate) const LOAD_CORE: usize = 1;

/// Keeps the calling thread, and those that it starts later, on one core.
pub(crate) fn stay_on(core: usize) -> Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    sched_setaffinity(None, &cores).with_context(|| format!("cannot stay on core {core}; two are needed"))
}

/// Raises the limits that a million sessions need, as far as this user may. The daemon reports a missing one at its
/// start.
pub(crate) fn raise_limits() {
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, ..files });
    let _ = setrlimit(Resource::Memlock, Rlimit { current: None, maximum: None });
}

/// The machine and the programs behind the numbers.
pub(crate) fn describe() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpu.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let cores = std::fs::read_dir("/sys/bus/cpu/devices").map_or(0, Iterator::count);
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let date = jiff::Timestamp::now().strftime("%Y-%m-%d").to_string();
    [
        ("measured", date.as_str()),
        ("processor", &format!("{}, {cores} cores", model.unwrap_or("unknown"))),
        ("kernel", kernel.trim()),
        ("rustc", &version("rustc", "--version")),
        ("nginx", &version("nginx", "-v")),
        ("openssl", &version("openssl", "version")),
    ]
    .map(|(what, value)| format!("- {what}: {value}\n"))
    .concat()
}

/// The first line that a program says of itself, on either of its outputs.
fn version(program: &str, flag: &str) -> String {
    let Ok(output) = Command::new(program).arg(flag).output() else { return "not there".into() };
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).lines().next().unwrap_or_default().to_owned()
}
