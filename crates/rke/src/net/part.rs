//! A part of a network: a folder with its settings, a script that runs it, its log, and its process.

use std::fs::{self, OpenOptions};
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rke_host::durable::write_atomically;
use rustix::process::{Pid, Signal, kill_process};

/// The script that runs a part.
pub(super) const RUN: &str = "run";

const LOG: &str = "log";

/// The socket of a node or a Content Server for its metrics. A port each would double the ports of a network.
pub(super) const METRICS: &str = "metrics.sock";

/// The process: its id, and when it was started, in the kernel's ticks. Together no other process ever has both.
const PID: &str = "pid";

/// How long a part has to stop by itself.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

const BETWEEN_LOOKS: Duration = Duration::from_millis(20);

/// A part of a network.
pub(super) struct Part {
    pub(super) name: String,
    pub(super) folder: PathBuf,
    pub(super) address: SocketAddr,
}

/// A running process.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Process {
    id: i32,
    started: u64,
}

impl Process {
    /// The process with this id; `None` if there is none, or if it has ended and nobody has asked how.
    fn find(id: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
        // The name of the program comes before, in parentheses, and may have any characters.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (state != "Z" && state != "X").then_some(Self { id, started })
    }
}

impl Part {
    /// Whether it can be started here: its folder may have moved to another machine.
    pub(super) fn is_here(&self) -> bool {
        self.folder.join(RUN).exists()
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join(LOG)
    }

    /// The id of its process, if it is running.
    pub(super) fn process_id(&self) -> Option<i32> {
        self.process().map(|process| process.id)
    }

    fn process(&self) -> Option<Process> {
        let text = fs::read_to_string(self.folder.join(PID)).ok()?;
        let (id, started) = text.trim().split_once(' ')?;
        let noted = Process { id: id.parse().ok()?, started: started.parse().ok()? };
        Process::find(noted.id).filter(|process| *process == noted)
    }

    /// Starts it, unless it runs or is elsewhere. It goes on when this program and its terminal have ended.
    pub(super) fn start(&self) -> Result<()> {
        if !self.is_here() || self.process().is_some() {
            return Ok(());
        }
        self.spawn().with_context(|| format!("cannot start {}", self.name))
    }

    fn spawn(&self) -> io::Result<()> {
        let log = OpenOptions::new().create(true).append(true).mode(0o600).open(self.log())?;
        let mut command = own(Command::new("/bin/sh"));
        command.arg(self.folder.join(RUN)).env("RKE", std::env::current_exe()?);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn()?;
        let process = i32::try_from(child.id()).ok().and_then(Process::find);
        // A process that has ended already has left its reason in the log.
        let Some(Process { id, started }) = process else { return Ok(()) };
        let pid = format!("{id} {started}\n");
        write_atomically(&self.folder, &self.folder.join(PID), |file| {
            io::Write::write_all(file, pid.as_bytes())
        })
    }

    /// Fails if it should run and does not, with the last line of its log.
    pub(super) fn expect_running(&self) -> Result<()> {
        if !self.is_here() || self.process().is_some() {
            return Ok(());
        }
        let log = fs::read(self.log()).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("its log is empty");
        bail!("{} has ended: {last} (the log is {})", self.name, self.log().display())
    }

    /// Sends SIGTERM, if it is running.
    pub(super) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// Waits until it has ended, and kills it when it does not. Returns whether it had to.
    pub(super) fn wait_for_end(&self, since: Instant) -> bool {
        let mut killed = false;
        while self.process().is_some() {
            if !killed && since.elapsed() > STOP_TIMEOUT {
                killed = true;
                self.signal(Signal::KILL);
            }
            std::thread::sleep(BETWEEN_LOOKS);
        }
        let _ = fs::remove_file(self.folder.join(PID));
        killed
    }

    fn signal(&self, signal: Signal) {
        if let Some(id) = self.process_id().and_then(Pid::from_raw) {
            // It may have ended in between.
            let _ = kill_process(id, signal);
        }
    }
}

/// A command that takes nothing from the variables that this program was given: they are for other daemons.
pub(super) fn own(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"RKE_")) {
        command.env_remove(name);
    }
    command
}
