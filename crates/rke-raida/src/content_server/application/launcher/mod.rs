//! The process that starts the commands. It starts before the Content Server holds a secret or gives up its rights.
//! So commands have the rights that the Content Server started with, while the Content Server, which faces the
//! network, can no longer start programs. Its parent gives it the command once; its socket carries only which client
//! a command is for, and the command's pipe ends.

mod commands;

use std::ffi::OsStr;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustix::cmsg_space;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

pub use self::commands::launch_commands;

/// The variables that a command may receive, all of them about its client or the key that it gets.
const VARIABLES: [&str; 7] = [
    "RKE_COIN",
    "RKE_DOMAIN",
    "RKE_SESSION_KEY_ID",
    "RKE_SESSION",
    "RKE_PSK_NAME",
    "RKE_PSK_OWN",
    "RKE_PSK_PEER",
];

/// Longer than the variables of any client.
const MAX_REQUEST_LEN: usize = 4096;

/// The descriptors of [`Ends`].
const DESCRIPTORS: usize = 4;

/// On a line to the launcher: the client's data has ended, so the command's input ends too.
pub(super) const INPUT_ENDED: u8 = b'e';

/// The first byte of a message on a line to the Content Server, before a number: the command's exit status.
pub(super) const EXITED: u8 = b'x';

/// The same: the system's error that prevented the command from starting.
pub(super) const FAILED: u8 = b'f';

/// The same, without a number, and the last message: no process of the command sees later events. A line that closes
/// without it has lost its launcher.
pub(super) const GONE: u8 = b'g';

/// The first byte and a number, lowest byte first.
pub(super) const NEWS_LEN: usize = 5;

/// A running launcher, which starts one command as often as it is requested. Dropping the last clone ends it and
/// kills the commands that still run.
#[derive(Debug, Clone)]
pub struct Launcher(Arc<Running>);

#[derive(Debug)]
struct Running {
    /// `None` once it has been told to end.
    socket: Option<OwnedFd>,
    process: Child,
    /// Readable when the process has ended. By then everything it started has been killed.
    exit: OwnedFd,
}

/// The descriptors that the Content Server gives to a command.
pub(super) struct Ends<'a> {
    /// The command's input.
    pub(super) its_input: BorrowedFd<'a>,
    /// Its other end. The launcher keeps it open until the command is gone, so that the command never mistakes a cut
    /// for an end.
    pub(super) input: BorrowedFd<'a>,
    /// The command's output.
    pub(super) its_output: BorrowedFd<'a>,
    /// The launcher's end of the line: see [`super::process`].
    pub(super) its_line: BorrowedFd<'a>,
}

/// The same, as the launcher receives it.
struct Request {
    variables: Vec<(String, String)>,
    its_input: OwnedFd,
    input: OwnedFd,
    its_output: OwnedFd,
    line: OwnedFd,
}

/// What arrives on the launcher's socket.
enum Received {
    Request(Request),
    /// An incomplete request, for example because too few descriptors were free to receive it, with its line if that
    /// arrived.
    Unusable(Option<OwnedFd>),
    /// The socket is closed.
    End,
}

impl Launcher {
    /// Starts a launcher. `program` must call [`launch_commands`] with its command and do nothing else. Call this
    /// before the process holds secrets and before it gives up rights.
    ///
    /// # Errors
    /// The system's error.
    pub fn start(mut program: Command) -> io::Result<Self> {
        let (socket, its_socket) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // Signals from the terminal are meant for the Content Server.
        program.process_group(0).stdin(its_socket).stdout(Stdio::null());
        let mut process = program.spawn()?;
        let exit = pidfd_open(Pid::from_child(&process), PidfdFlags::empty());
        let exit = exit.inspect_err(|_| drop(process.kill().and_then(|()| process.wait())))?;
        Ok(Self(Arc::new(Running { socket: Some(socket), process, exit })))
    }

    /// Waits until the launcher has ended, which should not happen while this value exists. Returns how it ended.
    pub(super) async fn wait_for_exit(&self) -> String {
        #[expect(deprecated, reason = "its unsafe successor is for types whose descriptor may change")]
        let watch = |exit| AsyncFd::with_interest(exit, Interest::READABLE);
        let watched = self.0.exit.try_clone().and_then(watch);
        let ended = async { watched?.readable().await.map(drop) };
        match ended.await {
            Ok(()) => describe_exit(Pid::from_child(&self.0.process)),
            Err(error) => format!("cannot be watched ({error})"),
        }
    }

    /// Becomes readable when the launcher has ended.
    pub(super) fn exit(&self) -> BorrowedFd<'_> {
        self.0.exit.as_fd()
    }

    /// Requests a command with these variables. Its line reports whether it starts.
    pub(super) fn request_command(
        &self,
        variables: impl Iterator<Item = (&'static str, String)>,
        ends: &Ends<'_>,
    ) -> io::Result<()> {
        request(self.0.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?, variables, ends)
    }
}

fn request(
    socket: impl AsFd,
    variables: impl Iterator<Item = (&'static str, String)>,
    ends: &Ends<'_>,
) -> io::Result<()> {
    let text: String = variables.map(|(name, value)| format!("{name}={value}\0")).collect();
    // The line comes first: if the other descriptors do not arrive, it reports that.
    let descriptors = [ends.its_line, ends.its_input, ends.input, ends.its_output];
    let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut room);
    if !control.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(io::Error::other("there is no room for a command's pipes"));
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    sendmsg(socket, &[IoSlice::new(text.as_bytes())], &mut control, flags)?;
    Ok(())
}

impl Drop for Running {
    fn drop(&mut self) {
        self.socket = None;
        if let Err(error) = self.process.wait() {
            tracing::warn!(%error, "the process that starts commands is lost");
        }
    }
}

impl Request {
    /// Reads the next request from a socket.
    fn receive(socket: impl AsFd) -> io::Result<Received> {
        let mut bytes = [0; MAX_REQUEST_LEN];
        let mut room = [MaybeUninit::uninit(); cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut room);
        let mut text = [IoSliceMut::new(&mut bytes)];
        let len = recvmsg(socket, &mut text, &mut control, RecvFlags::CMSG_CLOEXEC)?.bytes;
        let rights = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        let mut descriptors: Vec<OwnedFd> = rights.flatten().collect();
        if len == 0 && descriptors.is_empty() {
            return Ok(Received::End);
        }
        let line = (!descriptors.is_empty()).then(|| descriptors.remove(0));
        let ends = <[OwnedFd; DESCRIPTORS - 1]>::try_from(descriptors).ok();
        Ok(match (line, ends.zip(variables(&bytes[..len]))) {
            (Some(line), Some(([its_input, input, its_output], variables))) => {
                Received::Request(Self { variables, its_input, input, its_output, line })
            }
            (line, _) => Received::Unusable(line),
        })
    }
}

fn describe_exit(process: Pid) -> String {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::Pid(process), options).ok().flatten();
    match status.as_ref().and_then(|status| status.terminating_signal()) {
        Some(signal) => format!("was killed by signal {signal}"),
        None => "has ended".into(),
    }
}

/// The variables of a request, or `None` if it has any others.
fn variables(text: &[u8]) -> Option<Vec<(String, String)>> {
    let text = str::from_utf8(text).ok()?;
    text.split_terminator('\0')
        .map(|variable| {
            let (name, value) = variable.split_once('=')?;
            VARIABLES.contains(&name).then(|| (name.into(), value.into()))
        })
        .collect()
}

/// The part of the environment that a command inherits from the launcher, in addition to `LC_…`. The launcher has the
/// Content Server's environment; the rest of it is private: settings, and what the service manager added.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"];

fn is_inherited(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b"LC_") || INHERITED.iter().any(|inherited| inherited.as_bytes() == name)
}

#[cfg(test)]
mod tests;
