//! What this machine offers a daemon that is started here: memory for secrets, and the data folder.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rke_client::response::Status;
use rke_host::data_dir::{self, DataDirError, Role};
use rke_secret::{SecretError, SecretMemory, start};
use rustix::process::{Resource, getrlimit, getuid};

use super::report::Report;
use crate::settings::default_data_dir;

/// Room for a few thousand sessions and their exchanges.
const ENOUGH_LOCKED: u64 = 1024 * 1024;

/// Files of the data folder that only their owner may read.
const PRIVATE: [&str; 2] = ["master.key", "token"];

/// Checks the data folder: the one that is named, or the default one. A daemon does not say which one it has.
pub(super) fn check_data(report: &mut Report, named: Option<&Path>, daemon: Option<&Status>) {
    const CURE: &str = "name the daemon's data folder with --data-dir";
    if let Some(path) = named {
        return folder(report, path);
    }
    match default_data_dir() {
        Ok(path) if daemon.is_some() && !path.exists() => {
            let message = format!(
                "{}, the default data folder, is not there, so the daemon that responds has another",
                path.display()
            );
            report.warn("data", message, CURE);
        }
        Ok(path) => {
            report.ok("data", format!("the default folder is looked at; if the daemon has another, {CURE}"));
            folder(report, &path);
        }
        Err(error) => report.warn("data", format!("{error:#}"), "set HOME, or name a folder with --data-dir"),
    }
}

pub(super) fn check_memory(report: &mut Report) {
    const LIMIT_CURE: &str =
        "raise the limit on locked memory: `ulimit -l`, or LimitMEMLOCK= in the unit of systemd";
    const FILTER_CURE: &str = "allow mlock and memfd_secret: SystemCallFilter= in the unit of systemd, or the container's seccomp profile";
    match start(SecretMemory::Auto, 1) {
        Ok(memory) if memory.kind == "secretmem" => {
            report.ok("memory", "memfd_secret is available: not even root can read keys from outside");
        }
        Ok(_) => report.warn(
            "memory",
            "memfd_secret is not there: keys are in locked memory, which root can read",
            "use Linux 6.5 or newer, or 5.14 or newer with the boot option secretmem.enable=1",
        ),
        Err(error @ SecretError::Limit { .. }) => {
            report.fail("memory", format!("secrets cannot be held here: {error}"), LIMIT_CURE);
        }
        Err(error) => report.fail("memory", format!("secrets cannot be held here: {error}"), FILTER_CURE),
    }
    match getrlimit(Resource::Memlock).current {
        Some(limit) if limit < ENOUGH_LOCKED && !getuid().is_root() => {
            report.warn("memory", format!("only {} KiB of memory may be locked", limit / 1024), LIMIT_CURE);
        }
        Some(limit) => report.ok("memory", format!("{} KiB of memory may be locked", limit / 1024)),
        None => report.ok("memory", "as much memory as there is may be locked"),
    }
}

fn folder(report: &mut Report, path: &Path) {
    let shown = path.display();
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return report.ok("data", format!("{shown} is not there yet; the daemon makes it"));
        }
        Err(error) => {
            return report.warn(
                "data",
                format!("cannot look at {shown}: {error}"),
                "run this as the daemon's user",
            );
        }
    };
    if !about.is_dir() {
        return report.fail("data", format!("{shown} is not a folder"), "name another with --data-dir");
    }
    let before = report.failures();
    if let Err(DataDirError::OtherRole { found, .. }) = data_dir::check(path, Role::Daemon) {
        let message = format!("{shown} is the data directory of {found}, not of a daemon");
        report.fail("data", message, "name the daemon's with --data-dir");
    }
    let others = |mode: u32| mode & 0o077 != 0;
    if others(about.permissions().mode()) {
        report.fail("data", format!("{shown} is open to others"), format!("chmod 700 {shown}"));
    }
    for path in PRIVATE.iter().map(|name| path.join(name)) {
        if fs::metadata(&path).is_ok_and(|about| others(about.permissions().mode())) {
            report.fail(
                "data",
                format!("{} may be read by others", path.display()),
                format!("chmod 600 {}", path.display()),
            );
        }
    }
    if about.uid() != getuid().as_raw() {
        let message = format!("{shown} belongs to another user (uid {})", about.uid());
        report.warn("data", message, "run this, and the daemon, as the user that it belongs to");
    } else if report.failures() == before {
        report.ok("data", format!("{shown} is its owner's alone"));
    }
}

#[cfg(test)]
mod tests;
