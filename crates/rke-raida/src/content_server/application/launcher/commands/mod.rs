//! The launcher's loop: one thread that waits for requests, for messages on the lines, and for commands to exit.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rke_host::sandbox::raise_open_files;
use rke_secret::process::{block_signals, end_with_parent, limit_open_files, unblock_signals};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustix::process::{
    Pid, PidfdFlags, Rlimit, Signal, WaitId, WaitIdOptions, kill_process_group, pidfd_open, waitid,
};

use super::{EXITED, FAILED, GONE, INPUT_ENDED, NEWS_LEN, Received, Request, is_inherited};

/// A shell adds this to the number of the signal that killed its command.
const KILLED_BY: i32 = 128;

/// Starts `command` for each request on the socket that is this process's standard input, until that closes; then
/// kills the commands that still run.
///
/// A service manager that stops the Content Server signals this process too. The launcher has to end last, so it
/// ignores signals.
///
/// # Errors
/// The system's error.
pub fn launch_commands(command: &str) -> io::Result<()> {
    block_signals().map_err(io::Error::other)?;
    // This process holds several descriptors for each command.
    let shell = Shell { command, open_files: raise_open_files() };
    let mut running = Vec::new();
    let ended = serve(shell, io::stdin(), &mut running);
    // Before their inputs close.
    running.iter().for_each(Running::kill);
    ended
}

/// The command to start for each request.
#[derive(Clone, Copy)]
struct Shell<'a> {
    command: &'a str,
    /// The limit that this process started with, for the commands to inherit.
    open_files: Rlimit,
}

fn serve(shell: Shell<'_>, socket: impl AsFd, running: &mut Vec<Running>) -> io::Result<()> {
    loop {
        let ready = wait(&socket, running)?;
        for (command, ready) in running.iter_mut().zip(&ready.commands) {
            command.handle_events(*ready)?;
        }
        running.retain(|command| command.state != State::Reaped);
        if !ready.request {
            continue;
        }
        match Request::receive(&socket)? {
            Received::Request(request) => running.extend(Running::start(shell, request)),
            Received::Unusable(line) => {
                line.iter().for_each(|line| refuse(line, Errno::MFILE.raw_os_error()))
            }
            Received::End => return Ok(()),
        }
    }
}

/// A command, from its start until it is reaped. It is reaped only after its process group has been killed: until
/// then no other process group can get its number.
struct Running {
    child: Child,
    group: Pid,
    /// Readable when the command has exited.
    exit: OwnedFd,
    /// Closed once no process of the command can see the end of its input.
    line: Option<OwnedFd>,
    /// The write end of the command's input, held so that the input ends only when the client's data does.
    input: Option<OwnedFd>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Runs,
    /// It has exited by itself, and the Content Server knows. Processes that it started may still run.
    Exited,
    /// Its group has been killed.
    Killed,
    Reaped,
}

/// What is ready to be handled.
struct Ready {
    request: bool,
    commands: Vec<ReadyCommand>,
}

#[derive(Clone, Copy, Default)]
struct ReadyCommand {
    line: bool,
    exit: bool,
}

fn wait(socket: impl AsFd, running: &[Running]) -> io::Result<Ready> {
    let mut waiting = vec![PollFd::new(&socket, PollFlags::IN)];
    for command in running {
        waiting.extend(command.line.iter().map(|line| PollFd::new(line, PollFlags::IN)));
        waiting.extend(command.exit_fd().map(|exit| PollFd::new(exit, PollFlags::IN)));
    }
    match poll(&mut waiting, None) {
        Ok(_) | Err(Errno::INTR) => (),
        Err(error) => return Err(error.into()),
    }
    let mut ready = waiting.iter().map(|waiting| !waiting.revents().is_empty());
    let mut next = |is_waited_for: bool| is_waited_for && ready.next().unwrap_or_default();
    let request = next(true);
    let of = |command: &Running| ReadyCommand {
        line: next(command.line.is_some()),
        exit: next(command.exit_fd().is_some()),
    };
    Ok(Ready { request, commands: running.iter().map(of).collect() })
}

impl Running {
    /// Starts a command. If that fails, its line reports the error.
    fn start(Shell { command, open_files }: Shell<'_>, request: Request) -> Option<Self> {
        let Request { variables, its_input, input, its_output, line } = request;
        // The standard library restores the default action of SIGPIPE.
        let mut shell = Command::new("/bin/sh");
        let inherited = std::env::vars_os().filter(|(name, _)| is_inherited(name));
        shell.args(["-c", command]).process_group(0).env_clear().envs(inherited).envs(variables);
        shell.stdin(its_input).stdout(its_output);
        unblock_signals(&mut shell);
        limit_open_files(&mut shell, open_files);
        // This thread starts all commands and lives as long as the process.
        end_with_parent(&mut shell);
        match spawn(&mut shell) {
            Ok((child, group, exit)) => {
                Some(Self { child, group, exit, line: Some(line), input: Some(input), state: State::Runs })
            }
            Err(error) => {
                refuse(&line, error.raw_os_error().unwrap_or_default());
                None
            }
        }
    }

    /// Becomes readable when the command has exited and the exit is not yet handled.
    fn exit_fd(&self) -> Option<&OwnedFd> {
        matches!(self.state, State::Runs | State::Killed).then_some(&self.exit)
    }

    fn handle_events(&mut self, ready: ReadyCommand) -> io::Result<()> {
        if ready.exit {
            self.exited()?;
        }
        if ready.line {
            self.handle_line()?;
        }
        Ok(())
    }

    fn exited(&mut self) -> io::Result<()> {
        if self.state == State::Killed {
            return self.reap();
        }
        if let Some(line) = &self.line {
            send_report(line, EXITED, status(self.group)?);
        }
        self.state = State::Exited;
        Ok(())
    }

    /// Handles a message on its line. A closed line means that the connection has ended or is being cut.
    fn handle_line(&mut self) -> io::Result<()> {
        let Some(line) = &self.line else { return Ok(()) };
        let mut word = [0];
        match recv(line, &mut word, RecvFlags::DONTWAIT) {
            Ok((_, 1..)) if word[0] == INPUT_ENDED => self.input = None,
            Err(Errno::AGAIN | Errno::INTR) => (),
            _ => {
                self.kill();
                send_report(line, GONE, 0);
                (self.input, self.line) = (None, None);
                match self.state {
                    State::Exited => self.reap()?,
                    _ => self.state = State::Killed,
                }
            }
        }
        Ok(())
    }

    /// Kills the whole process group. When this returns, none of its processes sees later events.
    fn kill(&self) {
        match kill_process_group(self.group, Signal::KILL) {
            Ok(()) | Err(Errno::SRCH) => (),
            Err(error) => eprintln!("rke: a command cannot be killed ({error}): its input ends all the same"),
        }
    }

    fn reap(&mut self) -> io::Result<()> {
        self.state = State::Reaped;
        self.child.wait().map(drop)
    }
}

fn spawn(shell: &mut Command) -> io::Result<(Child, Pid, OwnedFd)> {
    let mut child = shell.spawn()?;
    let group = Pid::from_child(&child);
    match pidfd_open(group, PidfdFlags::empty()) {
        Ok(exit) => Ok((child, group, exit)),
        Err(error) => {
            let _ = kill_process_group(group, Signal::KILL);
            child.wait()?;
            Err(error.into())
        }
    }
}

/// The status of a command that has exited: 128 + n if signal n killed it. Does not reap it.
fn status(command: Pid) -> io::Result<i32> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::Pid(command), options)?;
    let killed = status.as_ref().and_then(|status| status.terminating_signal());
    let exited = status.and_then(|status| status.exit_status());
    Ok(exited.or(killed.map(|signal| KILLED_BY + signal)).unwrap_or(KILLED_BY))
}

/// Reports on a line that the command could not be started, and why.
fn refuse(line: &OwnedFd, error: i32) {
    send_report(line, FAILED, error);
    send_report(line, GONE, 0);
}

/// Sends a message on a line. It is dropped if the other end has closed, because then nobody waits for it.
fn send_report(line: &OwnedFd, what: u8, number: i32) {
    let mut news = [what; NEWS_LEN];
    news[1..].copy_from_slice(&number.to_le_bytes());
    let _ = send(line, &news, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

#[cfg(test)]
mod tests;
