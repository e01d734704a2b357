//! The HTTP interface of a Content Server: the part of the daemon's that uses keys, for the application at the other end
//! of the sessions. `docs/content-server.md`, "Use the keys".

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rke_host::data_dir::{DataDir, DataDirError};
use rke_host::session_keys::SessionKeys;

use crate::http;
use crate::http::gate::{Admission, AdmissionRules};
use crate::local_listen::{Interface, LocalListen, LocalListenError, LocalServer, Opened};
use crate::token::Token;

/// In the words of its errors.
static INTERFACE: Interface =
    Interface { option: "--api", purpose: "the application", danger: "plaintexts would cross the network" };

/// Why the interface cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OtherEndError {
    /// It cannot listen.
    #[error(transparent)]
    Listen(#[from] LocalListenError),
    /// The token cannot be written.
    #[error(transparent)]
    Token(#[from] DataDirError),
}

/// Listens for the application, which waits until it is served.
pub struct OtherEndListener {
    opened: Opened,
    token: Option<Token>,
}

impl OtherEndListener {
    /// Refuses an address that other machines can reach, as [`OtherEndListener::bind`] would.
    ///
    /// # Errors
    /// [`LocalListenError::Exposed`].
    pub fn check(listen: &LocalListen) -> Result<(), LocalListenError> {
        INTERFACE.check(listen)
    }

    /// Starts to listen. Over TCP, clients need the token that it writes to the file `token` of the data directory.
    ///
    /// # Errors
    /// [`OtherEndError`]; nothing is left behind.
    pub async fn bind(listen: &LocalListen, data_dir: &DataDir) -> Result<Self, OtherEndError> {
        let mut opened = INTERFACE.open(listen).await?;
        let token = opened.is_tcp().then(|| Token::create(data_dir)).transpose()?;
        if let Some(token) = &token {
            opened.note_token(token.path().into());
        }
        Ok(Self { opened, token })
    }
}

/// The running interface. It runs until [`OtherEnd::stop`].
pub struct OtherEnd(LocalServer);

impl OtherEnd {
    /// Serves these keys.
    pub fn start(listener: OtherEndListener, keys: &Arc<dyn SessionKeys>) -> Self {
        let OtherEndListener { opened, token } = listener;
        let admission = Admission::new(AdmissionRules::for_programs(), token, Arc::default());
        let traffic = Arc::new(http::traffic_of_other_end());
        let dispatcher = http::dispatcher_of_other_end(keys, Arc::new(admission), Arc::clone(&traffic));
        Self(opened.serve(dispatcher, traffic))
    }

    /// The address, if it listens on TCP.
    pub fn address(&self) -> Option<SocketAddr> {
        self.0.address()
    }

    /// The path of the Unix socket, if it listens there.
    pub fn socket(&self) -> Option<&Path> {
        self.0.socket()
    }

    /// The file with the token that requests over TCP must carry.
    pub fn token_file(&self) -> Option<&Path> {
        self.0.token_file()
    }

    /// Stops within a second, and removes its files.
    pub async fn stop(self) {
        self.0.stop().await;
    }
}
