//! The application behind the tunnel: an echo for trials, a command whose standard input and output are the client's
//! data, or a TCP address. None of them mistakes a cut for an end: a command is killed before its standard input closes,
//! and a connection is reset. Nothing of a command outlives the tunnel.

mod keys;
mod launcher;
mod process;
mod target;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rke_host::abrupt::halves;
use rke_proto::coin::CoinId;
use rke_proto::tunnel::SessionIdentifier;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, duplex};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::reception::Client;
pub use keys::{Interface, KeyCommand, KeyCommandError, KeyFormat, KeyTarget, PublicKey, wireguard_command};
pub use launcher::{Launcher, launch_commands};
pub(super) use process::Exit;
use process::{InputEnd, Process, Started};
pub use target::Target;

/// How much data the echo buffers.
const ECHO_LEN: usize = 64 * 1024;

/// What serves the clients.
#[derive(Debug, Clone)]
pub enum Application {
    /// Sends everything back.
    Echo,
    /// A shell command, run once for each connection in its own process group.
    Exec(Launcher),
    /// A TCP address, connected to once for each connection.
    Forward(Target),
    /// Pre-shared keys for another program.
    Keys(KeyService),
}

/// What gets the pre-shared keys that clients propose.
#[derive(Debug, Clone)]
pub enum KeyService {
    /// A command, for the clients that have proven a coin.
    Command(KeyCommand),
    /// WireGuard.
    WireGuard {
        /// That of [`wireguard_command`].
        command: KeyCommand,
        /// The only coin that may set a peer's key.
        peers: Arc<BTreeMap<PublicKey, CoinId>>,
        /// Whether a random key takes the place of one that was not renewed in time.
        fail_closed: bool,
    },
}

impl KeyService {
    pub(super) fn command(&self) -> &KeyCommand {
        match self {
            Self::Command(command) | Self::WireGuard { command, .. } => command,
        }
    }
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
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
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

/// One running application. Dropping it kills a command's process group, and only then closes its input. It resets a
/// connection of which both directions have not ended.
pub(super) struct Running {
    /// `None` unless it is a command. Fields are dropped in this order, so the process goes first.
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
    /// The address to forward to cannot be connected to.
    #[error("cannot connect to {target}: {source}")]
    Unreachable {
        /// The address.
        target: String,
        source: io::Error,
    },
    /// Data of a live session, whose client has proven nothing.
    #[error("only strongly authenticated clients get keys here")]
    OnlyKeys,
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
    /// [`StartError`], if no place is free, the command cannot be started, or nothing can be connected to.
    pub(super) async fn start(&self, user: &User, places: &Arc<Semaphore>) -> Result<Running, StartError> {
        match self {
            Self::Echo => {
                let (input, output) = duplex(ECHO_LEN);
                Ok(Running::unlimited(input, output))
            }
            Self::Exec(launcher) => {
                let place = Arc::clone(places).try_acquire_owned().map_err(|_| StartError::TooMany)?;
                let Started { process, input, output } =
                    process::start(launcher, user.variables().into_iter())?;
                let input = Input { stream: Some(Box::new(input)), end: Some(process.input_end()) };
                let output = Box::new(output);
                Ok(Running { process: Some(process), output, input, _place: Some(place) })
            }
            Self::Forward(target) => {
                let connected = target.connect().await.and_then(halves);
                let unreachable = |source| StartError::Unreachable { target: target.name().into(), source };
                let (output, input) = connected.map_err(unreachable)?;
                Ok(Running::unlimited(input, output))
            }
            Self::Keys(_) => Err(StartError::OnlyKeys),
        }
    }

    /// Waits until the launcher has ended, after which no command can be started. Returns how it ended.
    pub async fn wait_for_launcher_exit(&self) -> String {
        match self {
            Self::Echo | Self::Forward(_) => std::future::pending().await,
            Self::Exec(launcher) => launcher.wait_for_exit().await,
            Self::Keys(service) => service.command().wait_for_launcher_exit().await,
        }
    }
}

impl Running {
    /// An application without a process.
    fn unlimited(
        input: impl AsyncWrite + Send + Unpin + 'static,
        output: impl AsyncRead + Send + Unpin + 'static,
    ) -> Self {
        let input = Input { stream: Some(Box::new(input)), end: None };
        Self { process: None, output: Box::new(output), input, _place: None }
    }

    /// A future for the exit of the command. `None` unless it is one.
    pub(super) fn exit(&self) -> Option<Exit> {
        self.process.as_ref().map(Process::exit)
    }
}

impl Input {
    /// Hands data to the application. A command that no longer reads is not an error: its output still goes out.
    ///
    /// # Errors
    /// The connection to the application broke. Nothing that is read from it afterwards can be trusted to be whole: the
    /// kernel reports a reset only once, and an end after that.
    pub(super) async fn feed(&mut self, data: &[u8]) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let fed = async {
            stream.write_all(data).await?;
            stream.flush().await
        };
        match (fed.await, &self.end) {
            (Err(_), Some(_)) => Ok(()),
            (fed, _) => fed,
        }
    }

    /// Ends the application's input, because the client's data has ended.
    ///
    /// # Errors
    /// The connection to the application broke.
    pub(super) async fn end(&mut self) -> io::Result<()> {
        if let Some(mut stream) = self.stream.take() {
            stream.shutdown().await?;
        }
        self.end = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
