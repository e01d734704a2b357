//! Which keys have left this end. Each is handed out once to the SAE that requests it, and once to the one that names its id.
//!
//! The memory never forgets early: a session whose memory is full hands out nothing more, and is replaced by another one.

use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rke_proto::export::etsi::EtsiKey;
use rke_proto::handshake::KeyId;

/// The most keys of one session in each direction.
pub(super) const MOST: usize = 65_536;

/// The keys that have left, by session.
#[derive(Default)]
pub(super) struct Delivered {
    hasher: RandomState,
    sessions: Mutex<HashMap<KeyId, Keys>>,
}

/// Keys stand in here as hashes under a random key: of their ids where they were made, of their ids and both SAEs where they were
/// fetched. Two that are equal by chance are less likely than 2^-32 in a full memory; then one of them is refused.
#[derive(Default)]
struct Keys {
    made: HashSet<u64>,
    fetched: HashSet<u64>,
}

/// Why a key is not handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Withheld {
    /// It was handed out before.
    Repeated,
    /// It was made here, for an SAE at the other end: here it would be another key.
    MadeHere,
    /// The session has handed out as many as it may.
    Full,
}

impl Delivered {
    /// How many more new keys a session may hand out.
    pub(super) fn room(&self, session: &KeyId) -> usize {
        self.lock().get(session).map_or(MOST, |keys| MOST.saturating_sub(keys.made.len()))
    }

    /// Notes a new key of a session.
    pub(super) fn make(&self, session: KeyId, key: &EtsiKey<'_>) -> Result<(), Withheld> {
        let hash = self.hasher.hash_one(key.id);
        add(&mut self.lock().entry(session).or_default().made, hash)
    }

    /// Notes keys that are fetched by their ids: all of them, or none.
    pub(super) fn fetch(&self, keys: &[(KeyId, EtsiKey<'_>)]) -> Result<(), Withheld> {
        let mut sessions = self.lock();
        let is_made_here = |(session, key): &(KeyId, EtsiKey<'_>)| {
            let made = sessions.get(session).map(|keys| &keys.made);
            made.is_some_and(|made| made.contains(&self.hasher.hash_one(key.id)))
        };
        // One that shares keys with itself has both ends here.
        if keys.iter().any(|key| key.1.master != key.1.slave && is_made_here(key)) {
            return Err(Withheld::MadeHere);
        }
        for (at, (session, key)) in keys.iter().enumerate() {
            let hash = self.hash(key);
            if let Err(withheld) = add(&mut sessions.entry(*session).or_default().fetched, hash) {
                for (session, key) in &keys[..at] {
                    let hash = self.hash(key);
                    sessions.get_mut(session).map(|keys| keys.fetched.remove(&hash));
                }
                return Err(withheld);
            }
        }
        Ok(())
    }

    /// Drops what is known of sessions that no longer exist. Their keys are gone anyway.
    pub(super) fn retain(&self, is_live: impl Fn(&KeyId) -> bool) {
        let sessions: Vec<KeyId> = self.lock().keys().copied().collect();
        // Without the lock, because `is_live` takes others.
        let gone: Vec<KeyId> = sessions.into_iter().filter(|session| !is_live(session)).collect();
        let mut sessions = self.lock();
        for session in gone {
            sessions.remove(&session);
        }
    }

    fn hash(&self, key: &EtsiKey<'_>) -> u64 {
        self.hasher.hash_one((key.id, key.master, key.slave))
    }

    /// A panic elsewhere cannot leave a memory half changed in a way that matters.
    fn lock(&self) -> MutexGuard<'_, HashMap<KeyId, Keys>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn add(keys: &mut HashSet<u64>, hash: u64) -> Result<(), Withheld> {
    if keys.contains(&hash) {
        return Err(Withheld::Repeated);
    }
    if keys.len() >= MOST {
        return Err(Withheld::Full);
    }
    keys.insert(hash);
    Ok(())
}

#[cfg(test)]
mod tests;
