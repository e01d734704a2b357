//! The requirements of `cargo xtask test`. All are checked before anything is built, one line for each, with the
//! command that installs what is missing.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};

use crate::erase::Extent;
use crate::{erase, need, networks, schemathesis, target_dir};

/// Programs that tests run, and the Debian packages that hold them.
const PROGRAMS: [(&str, &str); 24] = [
    ("cc", "gcc"),
    ("node", "nodejs"),
    ("tsc", "node-typescript"),
    ("curl", "curl"),
    ("go", "golang-go"),
    ("chromium", "chromium"),
    ("tmux", "tmux"),
    ("openssl", "openssl"),
    ("perl", "perl"),
    ("valgrind", "valgrind"),
    ("nsupdate", "bind9-dnsutils"),
    ("systemd-analyze", "systemd"),
    ("ssh", "openssh-client"),
    ("/usr/sbin/sshd", "openssh-server"),
    ("git", "git"),
    ("psql", "postgresql-client"),
    ("pg_ctlcluster", "postgresql"),
    ("prometheus", "prometheus"),
    ("redis-server", "redis-server"),
    ("wg", "wireguard-tools"),
    ("wireguard-go", "wireguard-go"),
    ("stunnel", "stunnel4"),
    ("charon-systemd", "charon-systemd libstrongswan-standard-plugins libcharon-extra-plugins"),
    ("swanctl", "strongswan-swanctl"),
];

/// The size of the target folder after a full run from scratch, with a reserve.
const DISK_SPACE: u64 = 15 << 30;

/// No permitted crate wraps this system call, whose number is the same on every processor.
const OPEN_SECRET_MEMORY: &str = "syscall(447, 0) >= 0 or exit 1";

const NAMESPACES: &str = "unshare --net --mount --pid --fork --mount-proc true";

/// A swap file, used and given up again. It must have no holes.
const SWAP: &str = "file=$(mktemp) && trap 'rm -f $file' EXIT && dd if=/dev/zero of=$file bs=64k count=1 && \
                    chmod 600 $file && mkswap $file && swapon $file && swapoff $file";

/// Requirements on the machine, in addition to programs.
struct Feature {
    name: &'static str,
    is_there: fn() -> bool,
    repair: &'static str,
    /// The limit of `--without` that does without it.
    limit: Option<&'static str>,
}

const FEATURES: [Feature; 6] = [
    Feature {
        name: "root",
        is_there: || rustix::process::geteuid().is_root(),
        repair: "sudo -E cargo xtask test",
        limit: None,
    },
    Feature {
        name: "memfd_secret",
        is_there: || runs("perl", &["-e", OPEN_SECRET_MEMORY]),
        repair: "echo 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX secretmem.enable=1\"' | \
                 sudo tee /etc/default/grub.d/secretmem.cfg && sudo update-grub && sudo reboot",
        limit: None,
    },
    Feature {
        name: "network namespaces",
        is_there: || runs("sh", &["-c", NAMESPACES]),
        repair: "sudo -E cargo xtask test (in a container: docker run --privileged)",
        limit: None,
    },
    Feature {
        name: "swap files",
        is_there: || runs("sh", &["-c", SWAP]),
        repair: "sudo -E cargo xtask test --without swap",
        limit: Some("swap"),
    },
    Feature {
        name: "core dumps in a process's own folder",
        is_there: || {
            let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern");
            pattern.is_ok_and(|pattern| !pattern.starts_with(['|', '/', '@']))
        },
        repair: "sudo sysctl -w kernel.core_pattern=core",
        limit: Some("core-dumps"),
    },
    Feature {
        name: "15 GiB for the target folder",
        is_there: || has_space(&target_dir()),
        repair: "CARGO_TARGET_DIR=/somewhere/larger cargo xtask test",
        limit: None,
    },
];

/// Looks at everything, installs programs that are missing where it can, and fails where something is missing still.
pub(crate) fn look_at_needs(extent: &Extent) -> Result<()> {
    let programs = PROGRAMS.into_iter().chain(erase::NEEDED).chain(networks::NEEDED);
    let mut are_there: Vec<bool> =
        programs.map(|(program, package)| print_check(program, need(program, package))).collect();
    are_there.push(print_check("Python with venv", schemathesis::need_python()));
    are_there.extend(FEATURES.iter().filter(|feature| !is_done_without(feature, extent)).map(look_at));
    let missing = are_there.iter().filter(|is_there| !**is_there).count();
    ensure!(missing == 0, "{missing} of the things that the tests need are missing, see above");
    Ok(())
}

fn is_done_without(feature: &Feature, extent: &Extent) -> bool {
    feature.limit.is_some_and(|limit| extent.without.iter().any(|left_out| left_out == limit))
}

fn look_at(feature: &Feature) -> bool {
    let looked = match (feature.is_there)() {
        true => Ok(()),
        false => Err(anyhow::anyhow!("the tests need {}: {}", feature.name, feature.repair)),
    };
    print_check(feature.name, looked)
}

fn print_check(name: &str, looked: Result<()>) -> bool {
    match &looked {
        Ok(()) => eprintln!("cargo xtask: {name}: found"),
        Err(error) => eprintln!("cargo xtask: {name}: MISSING: {error:#}"),
    }
    looked.is_ok()
}

fn runs(program: &str, arguments: &[&str]) -> bool {
    let mut command = Command::new(program);
    let quiet = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

/// Free space, and what earlier runs have taken of it.
fn has_space(target: &Path) -> bool {
    let existing = target.ancestors().find(|folder| folder.exists());
    let free = existing.and_then(|folder| rustix::fs::statvfs(folder).ok());
    let free = free.map_or(0, |free| free.f_bavail * free.f_frsize);
    free >= DISK_SPACE || free + size(target) >= DISK_SPACE
}

fn size(folder: &Path) -> u64 {
    let output = Command::new("du").args(["-s", "--block-size=1"]).arg(folder).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    said.split_whitespace().next().and_then(|bytes| bytes.parse().ok()).unwrap_or(0)
}
