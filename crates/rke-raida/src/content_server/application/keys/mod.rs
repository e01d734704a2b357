//! A command that gets pre-shared keys for another program, one after the other, on its standard input. It is started by a
//! [`Launcher`], with the rights that the process had before it held secrets. `rke psk` and `rke wireguard` use it at their
//! end too.

mod text;
mod wireguard;

use std::fmt;
use std::io::{self, ErrorKind};
use std::time::Duration;

use rke_proto::preshared::Name;
use rke_secret::{Secret, SecretBuffer, SecretError};
use tokio::net::unix::pipe;
use tokio::time::timeout;

pub use self::text::KeyFormat;
pub use self::wireguard::{Interface, PublicKey, wireguard_command};
use super::launcher::Launcher;
use super::process::{self, Exit, Started};
use text::KeyText;

/// How long a command may take.
const COMMAND_LIMIT: Duration = Duration::from_secs(20);

/// More than a line of `wg show … preshared-keys`. Output beyond it is dropped.
const OUTPUT_LEN: usize = 512;

/// A command that gets keys.
#[derive(Debug, Clone)]
pub struct KeyCommand {
    launcher: Launcher,
    format: KeyFormat,
}

/// What a key is for, as this end sees it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum KeyTarget {
    /// Whatever the command makes of it.
    Named(Name),
    /// WireGuard's pre-shared key for a peer. The command is that of [`wireguard_command`].
    Peer {
        /// The public key of this end's interface.
        own: PublicKey,
        /// The public key of the other end.
        peer: PublicKey,
    },
}

/// Why a key is not set, or may not be.
#[derive(Debug, thiserror::Error)]
pub enum KeyCommandError {
    /// The command cannot be run.
    #[error("the command that sets the key cannot be run: {0}")]
    System(#[from] io::Error),
    /// There is no memory for the key.
    #[error(transparent)]
    Memory(#[from] SecretError),
    /// It takes too long.
    #[error("the command that sets the key has run for {} seconds and was killed", COMMAND_LIMIT.as_secs())]
    Late,
    /// It failed.
    #[error("the command that sets the key failed with status {0}")]
    Failed(i32),
    /// It failed in a way that is known.
    #[error("{0}")]
    Known(&'static str),
    /// WireGuard has another key than the one that was set.
    #[error("WireGuard was given the key and has another one")]
    NotReadBack,
}

impl KeyTarget {
    /// What the command learns of it from its environment.
    fn variables(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Named(name) => vec![("RKE_PSK_NAME", name.as_str().into())],
            Self::Peer { own, peer } => {
                vec![("RKE_PSK_OWN", own.to_string()), ("RKE_PSK_PEER", peer.to_string())]
            }
        }
    }
}

impl fmt::Display for KeyTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "{}", name.as_str()),
            Self::Peer { peer, .. } => write!(f, "WireGuard's peer {peer}"),
        }
    }
}

impl KeyCommand {
    /// A command of this launcher, which gets keys in this form.
    pub fn new(launcher: Launcher, format: KeyFormat) -> Self {
        Self { launcher, format }
    }

    /// Waits until the launcher has ended, after which no command can be started. Returns how it ended.
    pub async fn wait_for_launcher_exit(&self) -> String {
        self.launcher.wait_for_exit().await
    }

    /// Runs the command with a key, and waits until it has exited. WireGuard's key is then read back.
    ///
    /// # Errors
    /// [`KeyCommandError`]; only after some of them the key is certain not to be set.
    pub async fn run(
        &self,
        key: &Secret<32>,
        target: &KeyTarget,
        client: impl IntoIterator<Item = (&'static str, String)>,
    ) -> Result<(), KeyCommandError> {
        let text = KeyText::new(key, self.format, target)?;
        let variables = client.into_iter().chain(target.variables());
        let started = process::start(&self.launcher, variables)?;
        let run = timeout(COMMAND_LIMIT, hand_over(text, started));
        let mut output = run.await.map_err(|_| KeyCommandError::Late)??;
        match target {
            KeyTarget::Peer { peer, .. } if !wireguard::is_set(&mut output, peer, key) => {
                Err(KeyCommandError::NotReadBack)
            }
            _ => Ok(()),
        }
    }
}

/// Writes a key to a command and waits for its exit. Returns the beginning of its output. If this is dropped, the command
/// is killed.
async fn hand_over(text: KeyText, started: Started) -> Result<SecretBuffer, KeyCommandError> {
    let Started { process, input, output } = started;
    let (end, exit) = (process.input_end(), process.exit());
    text.write_to(&input).await?;
    // In this order: the end is what the launcher waits for.
    drop(input);
    drop(end);
    let mut kept = SecretBuffer::new(OUTPUT_LEN)?;
    match wait(&exit, &output, &mut kept).await? {
        0 => Ok(kept),
        status => Err(wireguard::explain(status).unwrap_or(KeyCommandError::Failed(status))),
    }
}

/// Keeps the beginning of the output, and drops the rest so that it blocks nothing.
async fn wait(exit: &Exit, output: &pipe::Receiver, kept: &mut SecretBuffer) -> io::Result<i32> {
    let mut len = 0;
    let mut status = std::pin::pin!(exit.status());
    let status = tokio::select! {
        biased;
        () = take(output, kept, &mut len) => status.await,
        status = &mut status => status,
    };
    // What the command has written before it exited.
    while read_some(output, kept, &mut len).is_ok_and(|read| read > 0) {}
    status
}

/// Takes output until it has ended or cannot be read.
async fn take(output: &pipe::Receiver, kept: &mut SecretBuffer, len: &mut usize) {
    while output.readable().await.is_ok() {
        match read_some(output, kept, len) {
            Ok(1..) => (),
            Err(error) if error.kind() == ErrorKind::WouldBlock => (),
            Ok(0) | Err(_) => return,
        }
    }
}

/// Reads straight into secret memory. Once that is full, its last part is written over.
fn read_some(output: &pipe::Receiver, kept: &mut SecretBuffer, len: &mut usize) -> io::Result<usize> {
    let from = (*len).min(OUTPUT_LEN / 2);
    let read = kept.expose_mut(|bytes| output.try_read(&mut bytes[from..OUTPUT_LEN]))?;
    *len = from + read;
    Ok(read)
}
