//! A command, as the Content Server sees it: its input, its output and its line. The line is a socket to the launcher,
//! which says on it how the command has exited; closing it has the launcher kill the command's process group. Where the
//! launcher itself is gone, the kernel has killed the command.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, read};
use rustix::net::{SendFlags, Shutdown, send, shutdown};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use super::launcher::{EXITED, Ends, FAILED, GONE, INPUT_ENDED, Launcher, NEWS_LEN};

/// How long to wait for the launcher to kill a command. It takes far less, unless the machine hangs.
const KILL_LIMIT: Duration = Duration::from_secs(1);

/// A running command. Dropping it kills what is left of its process group, and only then does its input end.
pub(super) struct Process {
    line: Arc<UnixStream>,
    launcher: Launcher,
}

/// Says that a command's input has ended.
pub(super) struct InputEnd {
    line: Arc<UnixStream>,
}

/// Waits for the exit of a command.
pub(in crate::content_server) struct Exit {
    line: Arc<UnixStream>,
}

/// A command with the ends of its pipes.
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) input: pipe::Sender,
    pub(super) output: pipe::Receiver,
}

/// Has the launcher start its command with these environment variables.
pub(super) fn start(
    launcher: &Launcher,
    variables: impl Iterator<Item = (&'static str, String)>,
) -> io::Result<Started> {
    let (its_input, input) = io::pipe()?;
    let (output, its_output) = io::pipe()?;
    let (line, its_line) = std::os::unix::net::UnixStream::pair()?;
    let ends = Ends {
        its_input: its_input.as_fd(),
        input: input.as_fd(),
        its_output: its_output.as_fd(),
        its_line: its_line.as_fd(),
    };
    launcher.ask(variables, &ends)?;
    line.set_nonblocking(true)?;
    Ok(Started {
        process: Process { line: Arc::new(UnixStream::from_std(line)?), launcher: launcher.clone() },
        input: pipe::Sender::from_owned_fd(input.into())?,
        output: pipe::Receiver::from_owned_fd(output.into())?,
    })
}

impl Process {
    pub(super) fn exit(&self) -> Exit {
        Exit { line: Arc::clone(&self.line) }
    }

    pub(super) fn input_end(&self) -> InputEnd {
        InputEnd { line: Arc::clone(&self.line) }
    }

    /// Has the launcher kill the process group, and waits until it has. The line of a launcher that is gone closes before
    /// the kernel kills the command, which it has done once the launcher has ended.
    fn kill(&self) -> io::Result<()> {
        // Fails where the launcher is gone.
        let _ = shutdown(&self.line, Shutdown::Write);
        let deadline = Instant::now() + KILL_LIMIT;
        let (mut word, mut is_gone) = ([0; NEWS_LEN], false);
        loop {
            wait_until_readable(&self.line, deadline)?;
            match read(&self.line, &mut word) {
                Ok(0) | Err(Errno::CONNRESET) if is_gone => return Ok(()),
                Ok(0) | Err(Errno::CONNRESET) => return wait_until_readable(self.launcher.exit(), deadline),
                // A line carries whole words.
                Ok(_) => is_gone |= word[0] == GONE,
                Err(Errno::AGAIN | Errno::INTR) => (),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn wait_until_readable(what: impl AsFd, deadline: Instant) -> io::Result<()> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(&what, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            tracing::warn!(%error, "a command may still run: the process that starts commands does not say that it was killed");
        }
    }
}

impl Drop for InputEnd {
    fn drop(&mut self) {
        // Not by tokio, which may not know yet that it can write. Where the line is closed, the input has ended with the
        // command.
        let _ = send(&self.line, &[INPUT_ENDED], SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }
}

impl Exit {
    /// Its status, 128 + n where signal n killed it. To be asked for once.
    ///
    /// # Errors
    /// Why it has none: it could not be started, or the launcher is gone.
    pub(in crate::content_server) async fn status(&self) -> io::Result<i32> {
        let mut news = [0; NEWS_LEN];
        let mut len = 0;
        while len < NEWS_LEN {
            self.line.readable().await?;
            match self.line.try_read(&mut news[len..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(more) => len += more,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                Err(error) => return Err(error),
            }
        }
        let [what, number @ ..] = news;
        let number = i32::from_le_bytes(number);
        match what {
            EXITED => Ok(number),
            FAILED => Err(io::Error::from_raw_os_error(number)),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::thread;

    use rustix::process::{Signal, pidfd_send_signal};

    use super::*;

    #[tokio::test]
    async fn where_a_line_closes_without_a_word_the_command_is_killed_once_the_launcher_has_ended() {
        // Not a launcher, but it ends as one does.
        let launcher = Launcher::start(Command::new("cat")).expect("a process");
        let (line, its_line) = UnixStream::pair().expect("a line");
        let process = Process { line: Arc::new(line), launcher: launcher.clone() };
        drop(its_line);
        let killing = thread::spawn(move || process.kill());
        thread::sleep(Duration::from_millis(100));
        assert!(!killing.is_finished(), "the kernel has killed nothing yet");
        pidfd_send_signal(launcher.exit(), Signal::KILL).expect("killed");
        killing.join().expect("no panic").expect("soon");
    }
}
