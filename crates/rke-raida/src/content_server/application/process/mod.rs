//! A command as the Content Server sees it: its input, its output and its line. The line is a socket to the launcher,
//! which reports on it how the command exited. Closing it makes the launcher kill the command's process group. If the
//! launcher itself ends, the kernel kills the command.

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

/// How long to wait for the launcher to kill a command. That is far quicker unless the machine hangs.
const KILL_LIMIT: Duration = Duration::from_secs(1);

/// A running command. Dropping it kills the rest of its process group, and only then ends its input.
pub(super) struct Process {
    line: Arc<UnixStream>,
    launcher: Launcher,
}

/// Reports that a command's input has ended.
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

/// Makes the launcher start its command with these environment variables.
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
    launcher.request_command(variables, &ends)?;
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

    /// Makes the launcher kill the process group, and waits for it. If the launcher has ended, the line closes early:
    /// the kernel has killed the command by the time the launcher's end is visible.
    fn kill(&self) -> io::Result<()> {
        // Fails if the launcher has ended.
        let _ = shutdown(&self.line, Shutdown::Write);
        let deadline = Instant::now() + KILL_LIMIT;
        let (mut word, mut is_gone) = ([0; NEWS_LEN], false);
        loop {
            wait_until_readable(&self.line, deadline)?;
            match read(&self.line, &mut word) {
                Ok(0) | Err(Errno::CONNRESET) if is_gone => return Ok(()),
                Ok(0) | Err(Errno::CONNRESET) => return wait_until_readable(self.launcher.exit(), deadline),
                // The line preserves message boundaries.
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
        // Not through tokio, which may not know yet that the socket is writable. On a closed line the input has ended
        // together with the command.
        let _ = send(&self.line, &[INPUT_ENDED], SendFlags::NOSIGNAL | SendFlags::DONTWAIT);
    }
}

impl Exit {
    /// Its exit status, 128 + n if signal n killed it. Call it once.
    ///
    /// # Errors
    /// Why there is none: the command could not be started, or the launcher has ended.
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
mod tests;
