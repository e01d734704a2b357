//! What is behind the tunnel: an echo to try it with, or a command whose standard input and output are the client's
//! data. A command never takes a cut for an end: it is killed before its standard input closes. Nothing of it outlives
//! the tunnel.

mod launcher;
mod process;

use std::io;
use std::sync::Arc;

use rke_proto::tunnel::SessionIdentifier;
use tokio::io::{AsyncRead, AsyncWrite, duplex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::reception::Client;
pub use launcher::{Launcher, launch_commands};
pub(super) use process::Exit;
use process::{InputEnd, Process, Started};

/// How much may be on its way through the echo.
const ECHO_LEN: usize = 64 * 1024;

/// What answers a client.
#[derive(Debug, Clone)]
pub enum Application {
    /// Sends everything back.
    Echo,
    /// A shell command, run once for each connection, in a process group of its own.
    Exec(Launcher),
}

/// Whose data an application gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum User {
    /// A session of handshake 3.
    Session(Client),
    /// A live session, of envelope type 6. The coin that it names is a claim, which no command gets to see.
    Live(SessionIdentifier),
}

impl User {
    /// What a command learns of its user from its environment.
    fn variables(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Session(Client { key_id, domain, coin }) => {
                let coin = coin.as_ref().map(|coin| ("RKE_COIN", coin.to_string()));
                let always = [("RKE_DOMAIN", domain.clone()), ("RKE_SESSION_KEY_ID", key_id.to_string())];
                coin.into_iter().chain(always).collect()
            }
            Self::Live(session) => vec![("RKE_SESSION", hex::encode(session))],
        }
    }
}

/// One running application. When it is dropped, a command's process group is killed, and only after that its input
/// closes.
pub(super) struct Running {
    /// `None` for the echo. First, because that is the order in which they are dropped.
    process: Option<Process>,
    pub(super) output: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) input: Input,
    _place: Option<OwnedSemaphorePermit>,
}

/// Why an application does not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// As many commands run as may.
    #[error("too many commands are running; try again later")]
    TooMany,
    /// What the system said.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// An application's input.
pub(super) struct Input {
    /// `None` once it has ended.
    stream: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Of a command. Dropped after the stream, or with it.
    end: Option<InputEnd>,
}

impl Application {
    /// Starts it for a client. A command takes one of `places` while it runs.
    ///
    /// # Errors
    /// When no place is free, or the command cannot be started.
    pub(super) fn start(&self, user: &User, places: &Arc<Semaphore>) -> Result<Running, StartError> {
        let Self::Exec(launcher) = self else {
            let (input, output) = duplex(ECHO_LEN);
            let input = Input { stream: Some(Box::new(input)), end: None };
            return Ok(Running { process: None, output: Box::new(output), input, _place: None });
        };
        let place = Arc::clone(places).try_acquire_owned().map_err(|_| StartError::TooMany)?;
        let Started { process, input, output } = process::start(launcher, user.variables().into_iter())?;
        let input = Input { stream: Some(Box::new(input)), end: Some(process.input_end()) };
        Ok(Running { process: Some(process), output: Box::new(output), input, _place: Some(place) })
    }
}

impl Application {
    /// Waits until it cannot be started any more: what starts its commands is gone. Says how that ended.
    pub async fn lost(&self) -> String {
        match self {
            Self::Echo => std::future::pending().await,
            Self::Exec(launcher) => launcher.lost().await,
        }
    }
}

impl Running {
    /// What waits for the exit of the command. `None` for the echo.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.process.as_ref().map(Process::exit)
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
        self.end = None;
    }
}

#[cfg(test)]
mod tests {
    use rke_proto::coin::CoinId;
    use rke_proto::handshake::KeyId;

    use super::*;

    fn client(coin: Option<CoinId>) -> User {
        User::Session(Client { key_id: KeyId([0xAB; 16]), domain: "content.example".into(), coin })
    }

    #[test]
    fn a_command_learns_what_is_true_of_its_user() {
        let key_id = ("RKE_SESSION_KEY_ID", "ab".repeat(16));
        let (domain, coin) = (("RKE_DOMAIN", "content.example".into()), ("RKE_COIN", "0:42".into()));
        let proven = client(Some(CoinId { denomination: 0, serial: 42 }));
        assert_eq!(proven.variables(), [coin, domain.clone(), key_id.clone()]);
        assert_eq!(client(None).variables(), [domain, key_id]);
        let live = User::Live([1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(live.variables(), [("RKE_SESSION", "0102030405060708".into())]);
    }
}
