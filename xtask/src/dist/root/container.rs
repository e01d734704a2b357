//! A system of its own, booted by systemd-nspawn: its own processes, files and network, with systemd as process 1.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::debian_13::unpack;
use crate::dist::Dist;
use crate::dist::steps::run;
use crate::dist::tree::Tree;
use crate::need;

/// A distribution that the Debian package is for.
pub(super) struct System {
    pub(super) release: &'static str,
    /// Of its packages, and the keys that sign them; those of this machine's Debian need no name.
    archive: Option<(&'static str, &'static str)>,
}

/// The oldest of each that `docs/install.md` names.
pub(super) const SYSTEMS: [System; 2] = [
    System { release: "bookworm", archive: None },
    System {
        release: "noble",
        archive: Some(("http://archive.ubuntu.com/ubuntu", "usr/share/keyrings/ubuntu-archive-keyring.gpg")),
    },
];

/// What the tests use in addition to a minimal system, which in Ubuntu is one without apt: systemd, and the applications of others.
const PACKAGES: &str = "apt,systemd,systemd-sysv,dbus,ca-certificates,curl,git";

/// How long a boot, and a stop, may take.
const PATIENCE: Duration = Duration::from_secs(120);

const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Where commands are looked for in it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A running container. Dropping it stops it and removes its files.
pub(super) struct Container {
    root: PathBuf,
    nspawn: Child,
    /// Its process 1, as this machine numbers it.
    leader: i32,
}

impl Container {
    /// Boots a fresh system, with these files in its folder `/root`.
    pub(super) fn boot(dist: &Dist, system: &System, name: &str, files: &[PathBuf]) -> Result<Self> {
        let archive = archive(dist, system)?;
        let folder = format!("{name}-{}", system.release);
        let root = Tree::empty(dist.out.join("roots").join(folder))?.folder().to_owned();
        run(Command::new("tar").arg("-xf").arg(archive).arg("--directory").arg(&root))?;
        for file in files {
            let name = file.file_name().context("a file has a name")?;
            fs::copy(file, root.join("root").join(name))
                .with_context(|| format!("cannot copy {}", file.display()))?;
        }
        // The installer writes it; mmdebstrap does not.
        fs::write(root.join("etc/hosts"), "127.0.0.1 localhost\n::1 localhost\n")
            .context("cannot name the host")?;
        let mut command = Command::new("systemd-nspawn");
        command.args([
            "--boot",
            "--register=no",
            "--keep-unit",
            "--quiet",
            "--private-network",
            "--directory",
        ]);
        // Its filter of system calls knows neither secret memory nor Landlock. Real machines have none.
        command.arg(&root).env("SYSTEMD_SECCOMP", "0").stdin(Stdio::null());
        let log = fs::File::create(root.with_extension("log")).context("cannot write the log of the boot")?;
        let nspawn =
            command.stdout(log.try_clone()?).stderr(log).spawn().context("cannot run systemd-nspawn")?;
        let mut container = Self { root, nspawn, leader: 0 };
        container.wait_for_boot()?;
        Ok(container)
    }

    fn wait_for_boot(&mut self) -> Result<()> {
        let since = Instant::now();
        let children = format!("/proc/{0}/task/{0}/children", self.nspawn.id());
        while since.elapsed() < PATIENCE {
            ensure!(
                self.nspawn.try_wait()?.is_none(),
                "the container did not boot: see {}.log",
                self.root.display()
            );
            let first = fs::read_to_string(&children).unwrap_or_default();
            self.leader = first.split_whitespace().next().and_then(|id| id.parse().ok()).unwrap_or(0);
            // `degraded` is a system that runs, without a unit that a container cannot have.
            if self.leader != 0
                && self.run("systemctl is-system-running | grep -E 'running|degraded'").is_ok()
            {
                return Ok(());
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        bail!("the container has not booted after {} s: see {}.log", PATIENCE.as_secs(), self.root.display())
    }

    /// Runs a script as root in it, and returns what it prints on both outputs. All commands of the script have to succeed.
    pub(super) fn run(&self, script: &str) -> Result<String> {
        let mut command = Command::new("nsenter");
        command.args(["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root"]);
        command.args([
            "--target",
            &self.leader.to_string(),
            "--",
            "/bin/bash",
            "-e",
            "-u",
            "-o",
            "pipefail",
            "-c",
        ]);
        command.arg(format!("exec 2>&1; cd /root\n{script}"));
        command.env_clear().env("PATH", PATH).env("HOME", "/root").env("LC_ALL", "C.UTF-8");
        let output = command.stdin(Stdio::null()).output().context("cannot run nsenter")?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "in the container: {script}\n{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(said)
    }

    /// The same until the script succeeds.
    pub(super) fn wait_for(&self, script: &str) -> Result<String> {
        let since = Instant::now();
        loop {
            match self.run(script) {
                Err(error) if since.elapsed() > PATIENCE => return Err(error),
                Err(_) => std::thread::sleep(BETWEEN_LOOKS),
                said => return said,
            }
        }
    }

    /// Runs a script whose output has to have this in it.
    pub(super) fn expect(&self, script: &str, part: &str) -> Result<String> {
        let said = self.run(script)?;
        ensure!(said.contains(part), "in the container: {script}\nprints no {part:?}, but:\n{said}");
        Ok(said)
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        // systemd takes it as the order to halt.
        if let Some(nspawn) = i32::try_from(self.nspawn.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(nspawn, Signal::TERM);
        }
        let since = Instant::now();
        while since.elapsed() < PATIENCE && matches!(self.nspawn.try_wait(), Ok(None)) {
            std::thread::sleep(BETWEEN_LOOKS);
        }
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// The archive of a minimal system, which is made once.
fn archive(dist: &Dist, system: &System) -> Result<PathBuf> {
    for (program, package) in [("mmdebstrap", "mmdebstrap"), ("systemd-nspawn", "systemd-container")] {
        need(program, package)?;
    }
    let archive = dist.out.join(format!("{}.tar", system.release));
    if !archive.exists() {
        let unfinished = archive.with_extension("part");
        let mut command = Command::new("mmdebstrap");
        command.args(["--quiet", "--format=tar", "--variant=minbase", &format!("--include={PACKAGES}")]);
        match system.archive {
            None => command.arg(system.release).arg(&unfinished),
            Some((mirror, keys)) => {
                let keys = ubuntu_keys(dist)?.join(keys);
                command.arg("--keyring").arg(keys).arg(system.release).arg(&unfinished).arg(mirror)
            }
        };
        run(&mut command)?;
        rename(&unfinished, &archive)?;
    }
    Ok(archive)
}

/// The folder with the keys of Ubuntu's archive, as Debian 13 has them: Debian 12 has none.
fn ubuntu_keys(dist: &Dist) -> Result<PathBuf> {
    let folder = dist.out.join("roots").join("keys");
    unpack("ubuntu-keyring", &folder)?;
    Ok(folder)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).with_context(|| format!("cannot rename {}", from.display()))
}
