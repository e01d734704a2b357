//! The application behind the tunnel: an echo for trials, or a command whose standard input and output are the
//! client's data. A command never mistakes a cut for an end: it is killed before its standard input closes. Nothing
//! of it outlives the tunnel.

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

/// How much data the echo buffers.
const ECHO_LEN: usize = 64 * 1024;

/// What serves the clients.
#[derive(Debug, Clone)]
pub enum Application {
    /// Sends everything back.
    Echo,
    /// A shell command, run once for each connection in its own process group.
    Exec(Launcher),
}

/// The client that an application serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum User {
    /// A session of handshake 3.
    Session(Client),
    /// A live session, of envelope type 6. The coin that it names is unproven, so no command sees it.
    Live(SessionIdentifier),
}

impl User {
    /// What a command learns about its client from its environment.
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

/// One running application. Dropping it kills a command's process group, and only then closes its input.
pub(super) struct Running {
    /// `None` for the echo. Fields are dropped in this order, so the process goes first.
    process: Option<Process>,
    pub(super) output: Box<dyn AsyncRead + Send + Unpin>,
    pub(super) input: Input,
    _place: Option<OwnedSemaphorePermit>,
}

/// Why an application does not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// The limit on commands is reached.
    #[error("too many commands are running; try again later")]
    TooMany,
    /// The system's error.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// An application's input.
pub(super) struct Input {
    /// `None` once it has ended.
    stream: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    /// Only for a command. Dropped after the stream, or together with it.
    end: Option<InputEnd>,
}

impl Application {
    /// Starts it for a client. A command occupies one of `places` while it runs.
    ///
    /// # Errors
    /// [`StartError`], if no place is free or the command cannot be started.
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
    /// Waits until the launcher has ended, after which no command can be started. Returns how it ended.
    pub async fn wait_for_launcher_exit(&self) -> String {
        match self {
            Self::Echo => std::future::pending().await,
            Self::Exec(launcher) => launcher.wait_for_exit().await,
        }
    }
}

impl Running {
    /// A future for the exit of the command. `None` for the echo.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.process.as_ref().map(Process::exit)
    }
}

impl Input {
    /// The stream that takes the data. `None` once it has ended.
    pub(super) fn stream(&mut self) -> Option<&mut (dyn AsyncWrite + Send + Unpin)> {
        self.stream.as_deref_mut().map(|stream| stream as _)
    }

    /// Ends the application's input, because the client's data has ended.
    pub(super) fn end(&mut self) {
        self.stream = None;
        self.end = None;
    }
}

#[cfg(test)]
mod tests;
