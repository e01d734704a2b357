//! What the launcher does: one thread that waits for requests, for what lines say, and for commands to exit.

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

/// What a shell adds to the number of a signal that killed its command.
const KILLED_BY: i32 = 128;

/// Starts `command` as often as it is asked to on the socket that is this process's standard input, until that closes; then
/// kills what still runs.
///
/// A service manager that stops the Content Server signals this process too, which has to be the last: it takes no
/// signals.
///
/// # Errors
/// What the system said.
pub fn launch_commands(command: &str) -> io::Result<()> {
    block_signals().map_err(io::Error::other)?;
    // Of each command this process holds some open.
    let shell = Shell { command, open_files: raise_open_files() };
    let mut running = Vec::new();
    let ended = serve(shell, io::stdin(), &mut running);
    // Before their inputs close.
    running.iter().for_each(Running::kill);
    ended
}

/// What is started, as often as it is asked for.
#[derive(Clone, Copy)]
struct Shell<'a> {
    command: &'a str,
    /// Its limit, which was this process's own once.
    open_files: Rlimit,
}

fn serve(shell: Shell<'_>, socket: impl AsFd, running: &mut Vec<Running>) -> io::Result<()> {
    loop {
        let ready = wait(&socket, running)?;
        for (command, ready) in running.iter_mut().zip(&ready.commands) {
            command.go_on(*ready)?;
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

/// A command, from its start until it is reaped. It is not reaped before its process group has been killed: until then no
/// other process group can have its number.
struct Running {
    child: Child,
    group: Pid,
    /// Readable when the command has exited.
    exit: OwnedFd,
    /// Closed when nothing of the command can see what happens any more.
    line: Option<OwnedFd>,
    /// The other end of the command's input, so that it ends only when the client's data does.
    input: Option<OwnedFd>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Runs,
    /// It has exited by itself, and the other end of the line knows. What it has started may still run.
    Exited,
    /// Its group has been killed.
    Killed,
    Reaped,
}

/// What can be gone on with.
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
        waiting.extend(command.waited_for().map(|exit| PollFd::new(exit, PollFlags::IN)));
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
        exit: next(command.waited_for().is_some()),
    };
    Ok(Ready { request, commands: running.iter().map(of).collect() })
}

impl Running {
    /// Starts a command. Where that fails, its line says so.
    fn start(Shell { command, open_files }: Shell<'_>, request: Request) -> Option<Self> {
        let Request { variables, its_input, input, its_output, line } = request;
        // The standard library gives SIGPIPE back its default.
        let mut shell = Command::new("/bin/sh");
        let inherited = std::env::vars_os().filter(|(name, _)| is_inherited(name));
        shell.args(["-c", command]).process_group(0).env_clear().envs(inherited).envs(variables);
        shell.stdin(its_input).stdout(its_output);
        unblock_signals(&mut shell);
        limit_open_files(&mut shell, open_files);
        // This thread starts all of them, and ends with the process.
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

    /// What becomes readable when there is something to do for an exit.
    fn waited_for(&self) -> Option<&OwnedFd> {
        matches!(self.state, State::Runs | State::Killed).then_some(&self.exit)
    }

    fn go_on(&mut self, ready: ReadyCommand) -> io::Result<()> {
        if ready.exit {
            self.exited()?;
        }
        if ready.line {
            self.hear()?;
        }
        Ok(())
    }

    fn exited(&mut self) -> io::Result<()> {
        if self.state == State::Killed {
            return self.reap();
        }
        if let Some(line) = &self.line {
            tell(line, EXITED, status(self.group)?);
        }
        self.state = State::Exited;
        Ok(())
    }

    /// Does what its line says. Where that has closed, nobody is behind the command any more, or nobody is to be.
    fn hear(&mut self) -> io::Result<()> {
        let Some(line) = &self.line else { return Ok(()) };
        let mut word = [0];
        match recv(line, &mut word, RecvFlags::DONTWAIT) {
            Ok((_, 1..)) if word[0] == INPUT_ENDED => self.input = None,
            Err(Errno::AGAIN | Errno::INTR) => (),
            _ => {
                self.kill();
                tell(line, GONE, 0);
                (self.input, self.line) = (None, None);
                match self.state {
                    State::Exited => self.reap()?,
                    _ => self.state = State::Killed,
                }
            }
        }
        Ok(())
    }

    /// Kills all of the process group. When this returns, none of it sees anything that happens afterwards.
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

/// The status of a command that has exited, 128 + n where signal n killed it. It is not reaped.
fn status(command: Pid) -> io::Result<i32> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::Pid(command), options)?;
    let killed = status.as_ref().and_then(|status| status.terminating_signal());
    let exited = status.and_then(|status| status.exit_status());
    Ok(exited.or(killed.map(|signal| KILLED_BY + signal)).unwrap_or(KILLED_BY))
}

/// Says on a line that there is no command, and why.
fn refuse(line: &OwnedFd, error: i32) {
    tell(line, FAILED, error);
    tell(line, GONE, 0);
}

/// Says something on a line. Where nobody hears it, nobody waits for it.
fn tell(line: &OwnedFd, what: u8, number: i32) {
    let mut news = [what; NEWS_LEN];
    news[1..].copy_from_slice(&number.to_le_bytes());
    let _ = send(line, &news, SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{BufRead, BufReader, Read, pipe};
    use std::thread::{self, JoinHandle};

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use rustix::process::{Resource, getrlimit};

    use super::super::{Ends, request};
    use super::*;

    fn pair(kind: SocketType) -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).expect("sockets")
    }

    /// What starts this command, in a thread, and the socket on which it is asked to.
    fn launcher(command: &'static str) -> (OwnedFd, JoinHandle<io::Result<()>>) {
        let (socket, its_socket) = pair(SocketType::SEQPACKET);
        let shell = Shell { command, open_files: getrlimit(Resource::Nofile) };
        (socket, thread::spawn(move || serve(shell, its_socket, &mut Vec::new())))
    }

    #[test]
    fn a_commands_input_ends_when_its_line_says_so_and_not_when_the_content_server_goes() {
        let (socket, launcher) = launcher("echo $$; cat; echo ended");
        let (line, its_line) = pair(SocketType::STREAM);
        let ((its_input, input), (output, its_output)) = (pipe().expect("a pipe"), pipe().expect("a pipe"));
        let ends = Ends {
            its_input: its_input.as_fd(),
            input: input.as_fd(),
            its_output: its_output.as_fd(),
            its_line: its_line.as_fd(),
        };
        request(&socket, std::iter::empty(), &ends).expect("asked for");
        // All that a Content Server has of the command's input.
        drop((its_input, input, its_output, its_line));
        let mut output = BufReader::new(output).lines().map(|line| line.expect("a line"));
        let command = output.next().expect("its number");
        let read_end = File::open(format!("/proc/{command}/fd/0")).expect("its input");
        let mut at_end = [PollFd::new(&read_end, PollFlags::IN)];
        poll(&mut at_end, Some(&rustix::time::Timespec::default())).expect("asked");
        assert_eq!(at_end[0].revents(), PollFlags::empty(), "it has not ended");
        send(&line, &[INPUT_ENDED], SendFlags::NOSIGNAL).expect("said");
        assert_eq!(output.next().as_deref(), Some("ended"));
        drop((line, socket));
        launcher.join().expect("a thread").expect("served");
    }

    #[test]
    fn a_request_that_cannot_be_used_is_refused_on_its_line() {
        let (socket, launcher) = launcher("true");
        let (line, its_line) = pair(SocketType::STREAM);
        let end = its_line.as_fd();
        let ends = Ends { its_input: end, input: end, its_output: end, its_line: end };
        let of_no_client = [("LD_PRELOAD", "/tmp/x.so".to_owned())];
        request(&socket, of_no_client.into_iter(), &ends).expect("asked for");
        drop(its_line);
        let mut said = Vec::new();
        File::from(line).read_to_end(&mut said).expect("it closes the line");
        let said: Vec<u8> = said.chunks(NEWS_LEN).map(|news| news[0]).collect();
        assert_eq!(said, [FAILED, GONE]);
        drop(socket);
        launcher.join().expect("a thread").expect("served");
    }
}
