//! Shared sessions that have ended: what is reported about them, and how their keys are wiped at the other end. The machine that
//! removes a session from the store does both. If it dies before the other end has confirmed, another one takes over.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rke_proto::handshake::{BreakCode, ID_LEN, KeyId};
use rke_secret::memory_scan::MemoryScan;
use rke_shared_store::{EndedBy, EndedRecord, Ending, Id, OnEnded, Search, StoreError};

use super::super::ended::Ended;
use super::super::tunnels::Tunnels;
use super::description::{Description, Farewell};
use super::{Shared, store_id};
use crate::Domain;
use crate::activity::{How, Number, Subject};
use crate::journal::Journal;
use crate::model;
use crate::model::remote_deletion::RemoteDeletion;
use crate::model::session_id::SessionId;
use crate::model::viewer::Page;
use crate::remote_deletions::RemoteDeletions;

/// What the other machines that have a copy of a deleted session's key are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Holders {
    /// Wipe it.
    Wipe,
    /// Wipe it, and then search memory for it.
    Search,
}

/// A shared session that was deleted.
pub(in super::super) struct SharedEnd {
    pub(in super::super) ended: Ended,
    /// Of its event, unless an earlier request is the one that is reported.
    pub(in super::super) number: Option<Number>,
    /// What other machines found.
    searches: Vec<Search>,
}

impl SharedEnd {
    /// What this machine has found, together with the others.
    pub(in super::super) fn search(&self, here: MemoryScan) -> model::search::Search {
        let add = |all: MemoryScan, search: &Search| MemoryScan {
            scanned_bytes: all.scanned_bytes.saturating_add(search.scanned_bytes),
            hits: all.hits.saturating_add(search.hits),
            ..all
        };
        let scan = self.searches.iter().fold(here, add);
        model::search::Search { scan, machines: Some(1 + self.searches.len()) }
    }
}

/// What is known about a session that was deleted. Nothing, if an earlier request has deleted it without knowing, and all is done.
#[derive(Default)]
struct Gone {
    subject: Option<(Domain, Option<Page>)>,
    key_id: Option<KeyId>,
    deletion: Option<RemoteDeletion>,
}

/// The deletions at other ends that this machine has under way, by the key's name there.
#[derive(Default)]
pub(super) struct Farewells(Mutex<HashMap<[u8; ID_LEN], (Id, EndedRecord)>>);

impl Farewells {
    fn note(&self, deletion: &RemoteDeletion, id: Id, record: EndedRecord) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(deletion.id, (id, record));
    }

    fn take(&self, key_id: &[u8; ID_LEN]) -> Option<(Id, EndedRecord)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key_id)
    }
}

/// What hears about records that have ended.
pub(super) struct OnEndedParts {
    pub(super) journal: Arc<Journal>,
    pub(super) tunnels: Arc<Tunnels>,
    pub(super) remote: Weak<RemoteDeletions>,
    pub(super) farewells: Arc<Farewells>,
}

pub(super) fn on_ended(parts: OnEndedParts) -> OnEnded {
    Box::new(move |id, ending, record| {
        let session = SessionId(id.0);
        let (by, gone) = (record.by, read(&parts.farewells, id, record));
        if ending == Ending::Removed {
            let (how, code) = match by {
                EndedBy::Expiry => (How::Expiry, BreakCode::Expired),
                EndedBy::Deletion => (How::RequestForAll, BreakCode::Deleted),
                EndedBy::NewPrimary => (How::Drop, BreakCode::Other),
            };
            parts.tunnels.cut(session, code);
            if let Some((domain, page)) = gone.subject {
                let subject = Subject { session, domain, page };
                parts.journal.session_ended(subject, how, gone.deletion.as_ref().map(|of| of.id));
            }
        }
        if let Some(remote) = parts.remote.upgrade() {
            remote.submit(gone.deletion);
        }
    })
}

/// Tells the store when a key has been wiped at the other end, or has expired there.
pub(super) fn report_farewells(shared: &Arc<Shared>, remote: &RemoteDeletions) {
    let shared = Arc::downgrade(shared);
    remote.on_done(move |key_id| {
        let Some(shared) = shared.upgrade() else { return };
        if let Some((id, record)) = shared.farewells.take(&key_id) {
            tokio::spawn(async move {
                // If it fails, another machine does it again, which harms nobody.
                let _ = shared.store.farewell_done(&id, &record).await;
            });
        }
    });
}

impl Shared {
    /// Deletes a session: when this returns, no machine uses its key, and none will. It goes on, and is reported, if nobody waits for it.
    ///
    /// # Errors
    /// [`StoreError`]. A deletion that is not confirmed goes on in the background.
    pub(in super::super) async fn delete(
        self: &Arc<Self>,
        id: SessionId,
        holders: Holders,
    ) -> Result<SharedEnd, StoreError> {
        let shared = Arc::clone(self);
        let deletion = tokio::spawn(async move {
            let deleted = match holders {
                Holders::Wipe => shared.store.delete(&store_id(id)).await?,
                Holders::Search => shared.store.delete_and_search(&store_id(id)).await?,
            };
            let (ended, number) = shared.report(id, deleted.rest);
            Ok(SharedEnd { ended, number, searches: deleted.searches })
        });
        deletion.await.unwrap_or(Err(StoreError::Damaged))
    }

    /// Reports a session that this machine has deleted, and has its key wiped at the other end.
    fn report(&self, id: SessionId, rest: Option<EndedRecord>) -> (Ended, Option<Number>) {
        let gone = rest.map(|rest| read(&self.farewells, store_id(id), rest)).unwrap_or_default();
        let Gone { subject, key_id, deletion } = gone;
        let Some((domain, page)) = subject else { return (Ended { domain: None, key_id }, None) };
        let subject = Subject { session: id, domain: domain.clone(), page };
        let number = self.journal.session_ended(subject, How::Request, deletion.as_ref().map(|of| of.id));
        self.submit(deletion);
        tracing::info!("session deleted");
        (Ended { domain: Some(domain), key_id }, Some(number))
    }
}

/// Reads what is left of a record, and notes that its key is to be wiped at the other end.
fn read(farewells: &Farewells, id: Id, record: EndedRecord) -> Gone {
    let Ok(described) = Description::decode(&record.description) else {
        tracing::warn!("what is left of a session in the store could not be read");
        return Gone::default();
    };
    let farewell = record.farewell.as_deref().and_then(|farewell| Farewell::decode(farewell).ok());
    let deletion = farewell.map(|farewell| described.deletion(farewell));
    if let Some(deletion) = &deletion {
        farewells.note(deletion, id, record);
    }
    let subject = Some((described.origin.domain.clone(), described.page));
    Gone { subject, key_id: Some(KeyId(described.id)), deletion }
}
