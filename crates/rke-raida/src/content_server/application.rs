//! What is behind the tunnel: an echo to try it with, or a command whose standard input and output
//! are the client's data.

use std::io;
use std::process::Stdio;

use rke_proto::coin::CoinId;
use rke_proto::tunnel::SessionIdentifier;
use tokio::io::{AsyncRead, AsyncWrite, simplex};
use tokio::process::{Child, Command};

/// How much may be on its way through the echo.
const ECHO_LEN: usize = 64 * 1024;

/// What answers a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Application {
    /// Sends everything back.
    Echo,
    /// A shell command, run once for each connection.
    Exec(String),
}

/// One running application. A command ends with it.
pub(super) struct Running {
    pub(super) input: Box<dyn AsyncWrite + Send + Unpin>,
    pub(super) output: Box<dyn AsyncRead + Send + Unpin>,
    /// Ends when this is dropped.
    pub(super) command: Option<Child>,
}

impl Application {
    /// Starts it for a client, which the command finds in `RKE_SESSION` and `RKE_COIN`.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub(super) fn start(&self, session: SessionIdentifier, coin: CoinId) -> io::Result<Running> {
        let Self::Exec(command) = self else {
            let (output, input) = simplex(ECHO_LEN);
            return Ok(Running { input: Box::new(input), output: Box::new(output), command: None });
        };
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", command])
            .env("RKE_SESSION", hex::encode(session))
            .env("RKE_COIN", coin.to_string());
        let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(io::Error::other("the command has no standard input or output"));
        };
        Ok(Running { input: Box::new(input), output: Box::new(output), command: Some(child) })
    }
}
