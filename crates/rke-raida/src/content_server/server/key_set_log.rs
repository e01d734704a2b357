//! What the log and the audit log say of the key sets: each that comes, each that is going to retire, and each that has retired.

use std::collections::BTreeMap;

use rke_proto::{Form, KeySetId};

use crate::audit::{KeySetName, ServerAudit, ServerEvent};
use crate::content_server::ServedKeySet;

/// The key sets as the log has them.
pub(super) struct KeySetLog {
    known: BTreeMap<KeySetId, (State, KeySetName)>,
    audit: ServerAudit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Active,
    /// In Unix seconds.
    RetiresAt(u64),
    Retired,
}

impl State {
    fn of(set: &ServedKeySet, now: u64) -> Self {
        match set.retires_at {
            None => Self::Active,
            Some(at) if at <= now => Self::Retired,
            Some(at) => Self::RetiresAt(at),
        }
    }
}

impl KeySetLog {
    pub(super) fn new(audit: ServerAudit) -> Self {
        Self { known: BTreeMap::new(), audit }
    }

    /// Logs what has changed, at `now` in Unix seconds.
    pub(super) fn note(&mut self, sets: &[ServedKeySet], now: u64) {
        let mut gone = std::mem::take(&mut self.known);
        for set in sets {
            let (key_set, state) = (set.secrets.key_set(), State::of(set, now));
            let name = KeySetName { cs_id: set.secrets.cs_id().to_string(), key_set: key_set.to_string() };
            if gone.remove(&key_set).is_none_or(|(known, _)| known != state) {
                self.log(set, state, now, name.clone());
            }
            self.known.insert(key_set, (state, name));
        }
        for (key_set, (_, name)) in gone {
            tracing::warn!(%key_set, "a key set is no longer in the data folder, and is not served");
            self.audit.record(ServerEvent::KeySetGone(name));
        }
    }

    fn log(&self, set: &ServedKeySet, state: State, now: u64, name: KeySetName) {
        let (cs_id, key_set, shares) = (&name.cs_id, &name.key_set, shares(set.form));
        self.audit.record(match state {
            State::Active => {
                tracing::info!(%cs_id, %key_set, shares, "a key set is there");
                ServerEvent::KeySetServed(name)
            }
            State::RetiresAt(at) => {
                tracing::info!(%cs_id, %key_set, shares, seconds = at - now, "a key set is going to retire");
                ServerEvent::KeySetRetiring { name, retires_at: at }
            }
            State::Retired => {
                tracing::info!(%cs_id, %key_set, shares, "a key set has retired");
                ServerEvent::KeySetRetired(name)
            }
        });
    }
}

fn shares(form: Form) -> &'static str {
    match form {
        Form::Wide => "32 bytes",
        Form::Handshake3Narrow => "1 byte",
        Form::Live => "1 byte, for live sessions",
    }
}
