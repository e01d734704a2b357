//! A measured server: a child on the server's core, which ends with this program, and its resource usage.

use std::collections::HashSet;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::time::clock_getcpuclockid;
use nix::unistd::Pid;
use procfs::net::TcpState;
use procfs::process::{FDTarget, Process};

use crate::machine::SERVER_CORE;

const START_TIMEOUT: Duration = Duration::from_secs(20);

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts a program that listens on `address`, and waits until this very process listens there. Its output goes
    /// to `log`.
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        address: SocketAddr,
        log: &Path,
    ) -> Result<Self> {
        let output = File::create(log).with_context(|| format!("cannot make {}", log.display()))?;
        // It ends with this program, however that ends.
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "taskset", "--cpu-list", &SERVER_CORE.to_string()]);
        command.arg(program).args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        let child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let mut server = Self { child, address };
        let deadline = Instant::now() + START_TIMEOUT;
        while !server.listens()? {
            let ended = server.child.try_wait()?;
            if ended.is_some() || Instant::now() > deadline {
                let said = std::fs::read_to_string(log).unwrap_or_default();
                bail!("{} does not listen on {address}: {}", program.display(), said.trim());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn id(&self) -> i32 {
        self.child.id() as i32
    }

    /// Whether the socket that listens on the address is this process's.
    fn listens(&self) -> Result<bool> {
        let sockets = procfs::net::tcp().context("cannot list the system's sockets")?;
        let listener = sockets
            .into_iter()
            .find(|socket| socket.local_address == self.address && socket.state == TcpState::Listen);
        let Some(listener) = listener else { return Ok(false) };
        let Ok(descriptors) = Process::new(self.id()).and_then(|process| process.fd()) else {
            return Ok(false);
        };
        Ok(descriptors.flatten().any(|descriptor| descriptor.target == FDTarget::Socket(listener.inode)))
    }

    /// The time that it has been running on a core so far.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let clock = clock_getcpuclockid(Pid::from_raw(self.id())).context("the server is gone")?;
        Ok(clock.now().context("the server is gone")?.into())
    }

    /// How many UDP sockets it has open.
    pub(crate) fn udp_sockets(&self) -> Result<usize> {
        let all = procfs::net::udp()?.into_iter().chain(procfs::net::udp6().unwrap_or_default());
        let all: HashSet<u64> = all.map(|socket| socket.inode).collect();
        let is_udp = |target: &FDTarget| matches!(target, FDTarget::Socket(inode) if all.contains(inode));
        let descriptors = Process::new(self.id()).and_then(|process| process.fd());
        let descriptors = descriptors.context("the server is gone")?.flatten();
        Ok(descriptors.filter(|descriptor| is_udp(&descriptor.target)).count())
    }

    /// Its resident memory in bytes, secret memory included, and what of it is neither secret memory nor
    /// mapped from files.
    pub(crate) fn resident(&self) -> Result<(f64, f64)> {
        let status = Process::new(self.id()).and_then(|process| process.status());
        let status = status.context("the server is gone")?;
        let bytes =
            |kib: Option<u64>| kib.map(|kib| (kib * 1024) as f64).context("the system tells no VmRSS");
        Ok((bytes(status.vmrss)?, bytes(status.rssanon)?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address of loopback with a port that nobody uses.
pub(crate) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no port is free")?;
    Ok(listener.local_addr()?)
}
