//! The daemon's end. Its SAEs' peers are at Content Servers, known by their domains.

use std::sync::Arc;

use rke_engine::sessions::Sessions;
use rke_proto::export::etsi::{EtsiKeyId, SaeId};
use rke_proto::handshake::KeyId;

use super::peers::Peers;
use super::refusal::Refusal;
use super::{End, Source};

/// The sessions with the Content Servers of peers.
pub(crate) struct DaemonEnd {
    sessions: Arc<Sessions>,
    peers: Arc<Peers>,
}

impl DaemonEnd {
    pub(crate) fn new(sessions: Arc<Sessions>, peers: Arc<Peers>) -> Self {
        Self { sessions, peers }
    }
}

impl End for DaemonEnd {
    async fn source(&self, other: &SaeId) -> Result<Source, Refusal> {
        let link = self.peers.of(other)?;
        let open = self.peers.current(link).await?;
        Ok(Source { session: open.key_id, names: [open.coin, link.domain().to_string()] })
    }

    fn find(&self, other: &SaeId, id: EtsiKeyId) -> Result<Option<KeyId>, Refusal> {
        let link = self.peers.of(other)?;
        Ok(link.session_of(id).map(|open| open.key_id))
    }

    fn is_live(&self, session: &KeyId) -> bool {
        self.peers.by_key(session).is_some_and(|open| self.sessions.show_own(open.id).is_some())
    }

    fn with_export_key(&self, session: &KeyId, work: &mut dyn FnMut(&[u8; 32])) -> bool {
        let open = self.peers.by_key(session);
        open.is_some_and(|open| self.sessions.with_export_key(open.id, work).is_ok())
    }

    fn note(&self, session: &KeyId, label: &str, count: usize) {
        if let Some(open) = self.peers.by_key(session) {
            self.sessions.note_exports(open.id, label, count);
        }
    }
}
