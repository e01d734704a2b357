//! What this machine gives a daemon that is started here: memory for secrets, and the data folder.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rke_host::data_dir::{self, DataDirError, Role};
use rke_secret::{SecretMemory, start};
use rustix::process::{Resource, getrlimit, getuid};

use super::report::Report;
use crate::settings::default_data_dir;

/// Room for a few thousand sessions and their exchanges.
const ENOUGH_LOCKED: u64 = 1024 * 1024;

/// Files of the data folder that nobody else may read.
const PRIVATE: [&str; 2] = ["master.key", "token"];

pub(super) fn check(report: &mut Report, data_dir: Option<&Path>) {
    memory(report);
    match data_dir.map_or_else(default_data_dir, |path| Ok(path.into())) {
        Ok(path) => folder(report, &path),
        Err(error) => report.warn("data", format!("{error:#}"), "set HOME, or name a folder with --data-dir"),
    }
}

fn memory(report: &mut Report) {
    const LIMIT_CURE: &str =
        "raise the limit on locked memory: `ulimit -l`, or LimitMEMLOCK= in the unit of systemd";
    match start(SecretMemory::Auto, 1) {
        Ok(memory) if memory.kind == "secretmem" => {
            report.ok("memory", "memfd_secret is there: not even root can read keys from outside");
        }
        Ok(_) => report.warn(
            "memory",
            "memfd_secret is not there: keys are in locked memory, which root can read",
            "use Linux 5.14 or newer, and on some systems the boot option secretmem.enable=1",
        ),
        Err(error) => report.fail("memory", format!("secrets cannot be held here: {error}"), LIMIT_CURE),
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
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn a_data_folder_that_others_can_read_is_found() {
        let dir = tempfile::tempdir().expect("a folder");
        let look = |path: &Path| {
            let mut report = Report::default();
            folder(&mut report, path);
            (report.failures(), report.text())
        };
        fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("a mode");
        assert_eq!(look(dir.path()).0, 0);
        let key = dir.path().join("master.key");
        fs::write(&key, "x").expect("written");
        fs::set_permissions(&key, Permissions::from_mode(0o640)).expect("a mode");
        let (failures, text) = look(dir.path());
        assert!(failures == 1 && text.contains("chmod 600"), "{text}");
        fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("a mode");
        assert_eq!(look(dir.path()).0, 2);
        assert_eq!(look(&key).0, 1);
        let other = dir.path().join("other");
        data_dir::claim(&other, Role::ContentServer).expect("a data directory");
        assert!(look(&other).1.contains("of a Content Server, not of a daemon"));
        assert!(look(&dir.path().join("nothing")).1.contains("not there yet"));
    }
}
