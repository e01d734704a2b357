//! The use of a session's key by streams of data. What they do with it is in [`rke_host::streams`].

use std::sync::Arc;

use rke_host::streams::{Direction, StreamKey};

use crate::model::session_id::SessionId;
use crate::sessions::Sessions;
use crate::store::KeyError;

/// The use of a session's key by one stream.
pub struct SessionStreamKey {
    sessions: Arc<Sessions>,
    id: SessionId,
    direction: Direction,
}

impl SessionStreamKey {
    /// Begins a stream. It counts as one use of the session, however long it is.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn begin(sessions: Arc<Sessions>, id: SessionId, direction: Direction) -> Result<Self, KeyError> {
        sessions.store().touch(id, direction.first_use())?;
        Ok(Self { sessions, id, direction })
    }
}

impl StreamKey for SessionStreamKey {
    fn expose<R>(&self, len: usize, work: impl FnOnce(&[u8; 32]) -> R) -> Result<R, KeyError> {
        self.sessions.store().with_key(self.id, self.direction.next_use(len), work)
    }

    fn expose_for_sealing<R>(&self, len: usize, work: impl FnOnce(&[u8; 32]) -> R) -> Result<R, KeyError> {
        self.sessions.store().with_seal_key(self.id, self.direction.next_use(len), work)
    }
}
