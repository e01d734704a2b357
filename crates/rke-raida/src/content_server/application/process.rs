//! A command in a process group of its own.

use std::ffi::OsString;
use std::io::{self, PipeReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::Arc;

use rke_secret::process::unblock_signals;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStdout, Command};
use tokio::runtime::Handle;

use super::guard::Guard;

/// What a shell adds to the number of a signal that killed its command.
const KILLED_BY: i32 = 128;

/// What a command inherits of this process's environment, next to `LC_…`. The rest is the Content Server's own: its
/// settings, and what its service manager gave it.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"];

/// A running command. Dropping it kills what is left of its process group. It is not reaped before that: until then no
/// other process group can have its number.
pub(super) struct Process {
    child: Option<Child>,
    group: Pid,
    exit: Exit,
}

/// Waits for the exit of a command, without reaping it.
#[derive(Clone)]
pub(in crate::content_server) struct Exit {
    pid: Pid,
    fd: Arc<AsyncFd<OwnedFd>>,
}

/// Starts a command with these environment variables. Gives its input, of which the guard has the same end, and its
/// output.
pub(super) fn start(
    command: &str,
    variables: impl Iterator<Item = (&'static str, String)>,
) -> io::Result<(Process, Guard, pipe::Sender, ChildStdout)> {
    let (its_input, input) = io::pipe()?;
    // First, so that the input stays open whatever happens to this process from here on.
    let mut guard = Guard::start(input.try_clone()?)?;
    let (process, output) = Process::start(shell(command, variables), its_input)?;
    let input = guard
        .watch_over(process.group.as_raw_nonzero().get().unsigned_abs())
        .and_then(|()| pipe::Sender::from_owned_fd(OwnedFd::from(input)))?;
    Ok((process, guard, input, output))
}

fn shell(command: &str, variables: impl Iterator<Item = (&'static str, String)>) -> Command {
    // The standard library gives SIGPIPE back its default.
    let mut shell = std::process::Command::new("/bin/sh");
    shell.args(["-c", command]).process_group(0).env_clear().envs(inherited()).envs(variables);
    unblock_signals(&mut shell);
    shell.into()
}

fn inherited() -> impl Iterator<Item = (OsString, OsString)> {
    std::env::vars_os().filter(|(name, _)| {
        let name = name.as_encoded_bytes();
        name.starts_with(b"LC_") || INHERITED.iter().any(|inherited| inherited.as_bytes() == name)
    })
}

impl Process {
    fn start(mut shell: Command, its_input: PipeReader) -> io::Result<(Self, ChildStdout)> {
        let mut child = shell.stdin(its_input).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let output =
            child.stdout.take().ok_or_else(|| io::Error::other("the command has no standard output"))?;
        let pid = child.id().and_then(|pid| Pid::from_raw(pid.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("the command is gone"))?;
        let fd = pidfd_open(pid, PidfdFlags::empty())?;
        #[expect(deprecated, reason = "its unsafe successor is for types whose descriptor may change")]
        let fd = AsyncFd::with_interest(fd, Interest::READABLE)?;
        let exit = Exit { pid, fd: Arc::new(fd) };
        Ok((Self { child: Some(child), group: pid, exit }, output))
    }

    /// Kills all of the process group. When this returns, none of it sees anything that happens afterwards.
    fn kill(&self) {
        match kill_process_group(self.group, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => (),
            Err(error) => tracing::warn!(%error, "a command cannot be killed: its input ends all the same"),
        }
    }

    pub(super) fn exit(&self) -> Exit {
        self.exit.clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
        if let Some(child) = self.child.take() {
            reap(child);
        }
    }
}

impl Exit {
    /// Its status, 128 + n where signal n killed it.
    ///
    /// # Errors
    /// What the system said.
    pub(in crate::content_server) async fn status(&self) -> io::Result<i32> {
        let _ = self.fd.readable().await?;
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let status = waitid(WaitId::Pid(self.pid), options)?;
        let status = status.ok_or_else(|| io::Error::other("the command has no exit status"))?;
        let killed = status.terminating_signal().map(|signal| KILLED_BY + signal);
        Ok(status.exit_status().or(killed).unwrap_or(KILLED_BY))
    }
}

/// Waits for a process that ends by itself, so that nothing of it is left. Signals are blocked, so nobody else does.
pub(super) fn reap(mut child: Child) {
    if let Ok(runtime) = Handle::try_current() {
        runtime.spawn(async move { child.wait().await });
    }
}
