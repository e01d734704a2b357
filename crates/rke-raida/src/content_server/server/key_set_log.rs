//! What the log says of the key sets: each that comes, each that is going to retire, and each that has retired.

use std::collections::BTreeMap;

use rke_proto::{Form, KeySetId};

use crate::content_server::ServedKeySet;

/// The key sets as the log has them.
#[derive(Default)]
pub(super) struct KeySetLog(BTreeMap<KeySetId, State>);

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
    /// Logs what has changed, at `now` in Unix seconds.
    pub(super) fn note(&mut self, sets: &[ServedKeySet], now: u64) {
        let known = std::mem::take(&mut self.0);
        for set in sets {
            let (key_set, state) = (set.secrets.key_set(), State::of(set, now));
            if known.get(&key_set) != Some(&state) {
                log(set, state, now);
            }
            self.0.insert(key_set, state);
        }
        for key_set in known.keys().filter(|key_set| !self.0.contains_key(*key_set)) {
            tracing::warn!(%key_set, "a key set is no longer in the data folder, and is not served");
        }
    }
}

fn log(set: &ServedKeySet, state: State, now: u64) {
    let (cs_id, key_set, shares) = (set.secrets.cs_id(), set.secrets.key_set(), shares(set.form));
    match state {
        State::Active => tracing::info!(%cs_id, %key_set, shares, "a key set is there"),
        State::RetiresAt(at) => {
            tracing::info!(%cs_id, %key_set, shares, seconds = at - now, "a key set is going to retire");
        }
        State::Retired => tracing::info!(%cs_id, %key_set, shares, "a key set has retired"),
    }
}

fn shares(form: Form) -> &'static str {
    match form {
        Form::Wide => "32 bytes",
        Form::Handshake3Narrow => "1 byte",
        Form::Live => "1 byte, for live sessions",
    }
}
