//! What is behind the tunnel: an echo to try it with, or a command whose standard input and output are the client's
//! data. A command never takes a cut for an end: it is killed before its standard input closes.

mod guard;
mod process;

use std::io;

use rke_proto::coin::CoinId;
use rke_proto::handshake::KeyId;
use rke_proto::tunnel::SessionIdentifier;
use tokio::io::{AsyncRead, AsyncWrite, duplex};

use super::reception::Client;
use guard::Guard;
pub(super) use process::Exit;
use process::Process;

/// How much may be on its way through the echo.
const ECHO_LEN: usize = 64 * 1024;

/// What answers a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Application {
    /// Sends everything back.
    Echo,
    /// A shell command, run once for each connection, in a process group of its own.
    Exec(String),
}

/// Whose data an application gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum User {
    /// A session of handshake 3.
    Session(Client),
    /// A live session, of envelope type 6. The coin that it names is a claim, which no command gets to see.
    Live(SessionIdentifier),
}

/// What a command may learn of its user from its environment.
const VARIABLES: [&str; 4] = ["RKE_COIN", "RKE_DOMAIN", "RKE_SESSION", "RKE_SESSION_KEY_ID"];

impl User {
    /// The values of [`VARIABLES`]. What a user does not have is not inherited either.
    fn values(&self) -> [Option<String>; VARIABLES.len()] {
        match self {
            Self::Session(Client { key_id, domain, coin }) => {
                let coin = coin.as_ref().map(CoinId::to_string);
                [coin, Some(domain.clone()), None, Some(KeyId::to_string(key_id))]
            }
            Self::Live(session) => [None, None, Some(hex::encode(session)), None],
        }
    }
}

/// One running application. Dropping it before [`Running::finish`] is a cut: a command is killed then, and only after
/// that its input closes.
pub(super) struct Running {
    pub(super) input: Input,
    pub(super) output: Box<dyn AsyncRead + Send + Unpin>,
    /// `None` for the echo.
    process: Option<Process>,
    is_finished: bool,
}

/// An application's input.
pub(super) struct Input {
    /// `None` once it has ended.
    stream: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    guard: Option<Guard>,
}

impl Application {
    /// Starts it for a client.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub(super) fn start(&self, user: &User) -> io::Result<Running> {
        let Self::Exec(command) = self else {
            let (input, output) = duplex(ECHO_LEN);
            let input = Input { stream: Some(Box::new(input)), guard: None };
            return Ok(Running { input, output: Box::new(output), process: None, is_finished: false });
        };
        let variables = VARIABLES.into_iter().zip(user.values());
        let (process, guard, input, output) = process::start(command, variables)?;
        let input = Input { stream: Some(Box::new(input)), guard: Some(guard) };
        Ok(Running { input, output: Box::new(output), process: Some(process), is_finished: false })
    }
}

impl Running {
    /// What waits for the exit of the command. `None` for the echo.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.process.as_ref().map(Process::exit)
    }

    /// Both directions have come to their end: nothing is killed.
    pub(super) fn finish(mut self) {
        self.is_finished = true;
    }
}

impl Input {
    /// Where the data goes. `None` once it has ended.
    pub(super) fn stream(&mut self) -> Option<&mut (dyn AsyncWrite + Send + Unpin)> {
        self.stream.as_deref_mut().map(|stream| stream as _)
    }

    /// The client's data has ended, and so does the application's input.
    pub(super) fn end(&mut self) {
        self.stream = None;
        self.guard = None;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = self.process.as_ref().filter(|_| !self.is_finished) {
            process.kill();
        }
        // The fields, and with them the input, are dropped after this.
    }
}

#[cfg(test)]
mod tests;
