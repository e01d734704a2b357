//! What the reception counts of its keys, and how many it has.

use rke_host::monitored::{Metric, Tally};

use super::limits::Owner;
use super::{Known, Reception};
use crate::content_server::ServedKeySet;

rke_host::kinds! {
    /// What made room for another of its kind.
    pub(super) Evicted as "what" {
        Key = "key",
        Resumption = "resumption",
        LiveKey = "live_key",
    }
}

/// Counts since the Content Server started.
#[derive(Default)]
pub(super) struct Counters {
    pub(super) evictions: Tally<Evicted>,
    /// Keys and resumptions that were wiped because their clients asked for it.
    pub(super) forgotten: u64,
}

impl Reception {
    /// The metrics of its keys at `now`, in Unix seconds.
    pub fn metrics(&mut self, now: u64) -> Vec<Metric> {
        self.sweep(now);
        let Known { rules, keys, resumptions, .. } = &self.known;
        let unproven = keys.len_of(Owner::Unproven);
        let by_proof =
            [("proven", keys.len() - unproven), ("unproven", unproven), ("live", self.narrow.len())];
        let by_proof = by_proof.map(|(proof, keys)| (vec![("proof", proof)], keys as u64));
        let states = self.known.key_set_states(now);
        let states = states.map(|(state, sets)| (vec![("state", state)], sets));
        let (max_keys, resumptions) = (rules.max_keys as u64, resumptions.len() as u64);
        let (used, size) = self.replays.fill(now);
        vec![
            Metric::gauges(
                "rke_content_server_keys",
                "Session keys, by what the client has proven",
                by_proof,
            ),
            Metric::gauge("rke_content_server_keys_max", "Most session keys", max_keys),
            Metric::gauge("rke_content_server_resumptions", "Stored resumptions", resumptions),
            self.counters.evictions.metric("rke_content_server_evictions", "Keys that made room for others"),
            Metric::counter(
                "rke_content_server_forgets",
                "Keys that were wiped because their clients asked for it",
                self.counters.forgotten,
            ),
            Metric::gauges("rke_content_server_key_sets", "Key sets, by state", states),
            Metric::gauge("rke_content_server_replay_memory_used", "Handshakes to remember", used as u64),
            Metric::gauge(
                "rke_content_server_replay_memory_size",
                "Most handshakes to remember",
                size as u64,
            ),
        ]
    }

    /// Whether a key set is served at `now`, in Unix seconds.
    pub fn serves_at(&self, now: u64) -> bool {
        self.known.key_sets.iter().any(|set| self.known.serves(set.form) && !has_retired(set, now))
    }
}

impl Known {
    fn key_set_states(&self, now: u64) -> [(&'static str, u64); 4] {
        let count =
            |is_meant: &dyn Fn(&&ServedKeySet) -> bool| self.key_sets.iter().filter(is_meant).count() as u64;
        let served = |set: &&ServedKeySet| self.serves(set.form) && !has_retired(set, now);
        [
            ("active", count(&|set| served(set) && set.retires_at.is_none())),
            ("retiring", count(&|set| served(set) && set.retires_at.is_some())),
            ("retired", count(&|set| has_retired(set, now))),
            ("not_served", count(&|set| !self.serves(set.form) && !has_retired(set, now))),
        ]
    }
}

fn has_retired(set: &ServedKeySet, now: u64) -> bool {
    set.retires_at.is_some_and(|retires_at| retires_at <= now)
}
