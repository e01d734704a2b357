//! Whether the response that announced a new session can have reached its client. A client that has closed its
//! direction may still read. A client that is gone looks the same until something is written to it. Without this
//! check, a session could remain that no client knows.

use std::sync::{Arc, Mutex, PoisonError};

use axum::response::Response;
use rke_engine::model::session_id::SessionId;
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use crate::http::api::handlers::Opened;

/// The session that a connection's last response announced.
#[derive(Clone, Default)]
pub(super) struct LastOpened(Arc<Mutex<Option<SessionId>>>);

impl LastOpened {
    pub(super) fn note(&self, answer: &Response) {
        let opened = answer.extensions().get().map(|Opened(id)| *id);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = opened;
    }

    pub(super) fn get(&self) -> Option<SessionId> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that can report whether the other end has refused what was written to it.
pub(super) trait Refusable {
    /// Whether the other end has refused it.
    fn is_refused(&self) -> bool;
}

impl Refusable for TcpStream {
    fn is_refused(&self) -> bool {
        !matches!(self.take_error(), Ok(None))
    }
}

impl Refusable for UnixStream {
    fn is_refused(&self) -> bool {
        !matches!(self.take_error(), Ok(None))
    }
}

impl<S: Refusable> Refusable for TlsStream<S> {
    fn is_refused(&self) -> bool {
        self.get_ref().0.is_refused()
    }
}
