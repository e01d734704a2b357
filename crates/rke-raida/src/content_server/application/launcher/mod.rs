//! The process that starts the commands. It is there before the Content Server holds a secret or gives up its rights, so
//! commands have the rights that the Content Server was started with, and the Content Server, which faces the network,
//! can start no program any more. It is told the command once, by who starts it; over its socket it takes only which client a
//! command is for, and the ends of the pipes that the command is to have.

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

/// The variables that a command can be given: what it may learn of its client.
const VARIABLES: [&str; 4] = ["RKE_COIN", "RKE_DOMAIN", "RKE_SESSION_KEY_ID", "RKE_SESSION"];

/// Longer than the variables of any client.
const MAX_REQUEST_LEN: usize = 4096;

/// The descriptors of [`Ends`].
const DESCRIPTORS: usize = 4;

/// On a line to the launcher: the client's data has ended, and so does the command's input.
pub(super) const INPUT_ENDED: u8 = b'e';

/// The first byte of what comes back on a line, before a number: the command's exit status.
pub(super) const EXITED: u8 = b'x';

/// The same: the error of the system that kept the command from being started.
pub(super) const FAILED: u8 = b'f';

/// The same, without a number, and the last: nothing of the command sees what happens from now on. A line that closes
/// without this word has lost its launcher.
pub(super) const GONE: u8 = b'g';

/// First byte, and a number with the lowest byte first.
pub(super) const NEWS_LEN: usize = 5;

/// A running launcher, which starts one command as often as it is asked to. It ends with the last of these, and what still
/// runs of its commands with it.
#[derive(Debug, Clone)]
pub struct Launcher(Arc<Running>);

#[derive(Debug)]
struct Running {
    /// `None` when it has been told to end.
    socket: Option<OwnedFd>,
    process: Child,
    /// Readable when the process has ended: what it had started has been killed by then.
    exit: OwnedFd,
}

/// What a command gets of the Content Server.
pub(super) struct Ends<'a> {
    /// What the command reads.
    pub(super) its_input: BorrowedFd<'a>,
    /// The other end. The launcher keeps it open until the command is gone, so that it never takes a cut for an end.
    pub(super) input: BorrowedFd<'a>,
    /// What the command writes to.
    pub(super) its_output: BorrowedFd<'a>,
    /// The launcher's end of the line: see [`super::process`].
    pub(super) its_line: BorrowedFd<'a>,
}

/// The same, on the other side.
struct Request {
    variables: Vec<(String, String)>,
    its_input: OwnedFd,
    input: OwnedFd,
    its_output: OwnedFd,
    line: OwnedFd,
}

/// What comes on the launcher's socket.
enum Received {
    Request(Request),
    /// One that is not complete, as where there are too few descriptors left to take it. Its line, where that came.
    Unusable(Option<OwnedFd>),
    /// There will be no more.
    End,
}

impl Launcher {
    /// Starts one. `program` is to call [`launch_commands`], with the command that it was given, and nothing else. To be
    /// called before there are secrets and before rights are given up.
    ///
    /// # Errors
    /// What the system said.
    pub fn start(mut program: Command) -> io::Result<Self> {
        let (socket, its_socket) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        // Signals from the terminal are for the Content Server.
        program.process_group(0).stdin(its_socket).stdout(Stdio::null());
        let mut process = program.spawn()?;
        let exit = pidfd_open(Pid::from_child(&process), PidfdFlags::empty());
        let exit = exit.inspect_err(|_| drop(process.kill().and_then(|()| process.wait())))?;
        Ok(Self(Arc::new(Running { socket: Some(socket), process, exit })))
    }

    /// Waits until the launcher has ended, which it does not while there is one of these; says how.
    pub(super) async fn lost(&self) -> String {
        #[expect(deprecated, reason = "its unsafe successor is for types whose descriptor may change")]
        let watch = |exit| AsyncFd::with_interest(exit, Interest::READABLE);
        let watched = self.0.exit.try_clone().and_then(watch);
        let ended = async { watched?.readable().await.map(drop) };
        match ended.await {
            Ok(()) => how_it_ended(Pid::from_child(&self.0.process)),
            Err(error) => format!("cannot be watched ({error})"),
        }
    }

    /// What becomes readable when the launcher has ended.
    pub(super) fn exit(&self) -> BorrowedFd<'_> {
        self.0.exit.as_fd()
    }

    /// Asks for a command with these variables. Whether it starts is said on its line.
    pub(super) fn ask(
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
    // The line first: where not all can be taken, it says so.
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
    /// What comes next on a socket.
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

fn how_it_ended(process: Pid) -> String {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::Pid(process), options).ok().flatten();
    match status.as_ref().and_then(|status| status.terminating_signal()) {
        Some(signal) => format!("was killed by signal {signal}"),
        None => "has ended".into(),
    }
}

/// The variables of a request, if it has no others.
fn variables(text: &[u8]) -> Option<Vec<(String, String)>> {
    let text = str::from_utf8(text).ok()?;
    text.split_terminator('\0')
        .map(|variable| {
            let (name, value) = variable.split_once('=')?;
            VARIABLES.contains(&name).then(|| (name.into(), value.into()))
        })
        .collect()
}

/// What a command inherits of the launcher's environment, which is that of the Content Server, next to `LC_…`. The rest is
/// the Content Server's own: its settings, and what its service manager gave it.
const INHERITED: [&str; 7] = ["PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"];

fn is_inherited(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.starts_with(b"LC_") || INHERITED.iter().any(|inherited| inherited.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_no_variables_but_those_of_a_client() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let two = variables(b"RKE_DOMAIN=a.test\0RKE_COIN=0:1\0");
        assert_eq!(two, Some(vec![pair("RKE_DOMAIN", "a.test"), pair("RKE_COIN", "0:1")]));
        assert_eq!(variables(b""), Some(Vec::new()));
        for other in [&b"LD_PRELOAD=/tmp/x.so\0"[..], b"RKE_COIN\0", b"RKE_COIN=0:1\0PATH=/tmp\0", b"\xff"] {
            assert_eq!(variables(other), None);
        }
    }

    #[test]
    fn a_command_inherits_no_settings_of_the_content_server() {
        for (name, inherited) in
            [("PATH", true), ("LC_TIME", true), ("RKE_EXEC", false), ("LD_PRELOAD", false)]
        {
            assert_eq!(is_inherited(OsStr::new(name)), inherited, "{name}");
        }
    }
}
