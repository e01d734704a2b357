//! Copies of sessions that other machines share. A copy may be used until its hold is over, and encrypt as much as this
//! machine has taken for it. Its entry ends with the hold, and what uses it asks for nothing else.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{CopyTerms, KeyError, NewSession, OnExpiry, SessionLimits, Standing, Store, StoreInner};
use crate::model::clock::Moment;
use crate::model::session_id::SessionId;

/// The copies of a store, for what wipes them.
#[derive(Clone)]
pub(crate) struct Copies(Arc<StoreInner>);

impl Store {
    /// An empty store of copies. `on_end` gets those whose hold is over.
    pub(crate) fn of_copies(rules: SessionLimits, on_end: OnExpiry) -> Self {
        // The store that the machines share has the limits of sessions.
        let rules = SessionLimits { max: usize::MAX, idle: None, ..rules };
        Self::with(rules, on_end, Box::new(|_, _, _| ()), true)
    }

    pub(crate) fn copies(&self) -> Copies {
        Copies(Arc::clone(&self.shared))
    }
}

impl Copies {
    /// Keeps a copy. Returns the one that was there before.
    pub(crate) fn hold(&self, id: SessionId, session: NewSession, copy: CopyTerms) -> Option<NewSession> {
        let shared = &self.0;
        shared.total.fetch_add(1, Ordering::SeqCst);
        let earlier = shared.shard(id).hold(id, session, copy, Moment::now());
        shared.taken(usize::from(earlier.is_some()));
        if copy.until.nanos() < shared.sleeps_until.load(Ordering::SeqCst) {
            shared.earlier_deadline.notify_one();
        }
        earlier
    }

    /// Lets a copy be used for longer, and encrypt this many more messages and bytes.
    pub(crate) fn extend(&self, id: SessionId, copy: CopyTerms, block: (u64, u64)) {
        self.0.shard(id).extend(id, copy, block, Moment::now());
    }

    /// Whether a copy can be used to encrypt this many messages and bytes.
    pub(crate) fn standing(&self, id: SessionId, need: (u64, u64), now: Moment) -> Standing {
        self.0.shard(id).standing(id, need, now)
    }

    /// Wipes a copy. Returns whether there was one.
    pub(crate) fn wipe(&self, id: SessionId) -> bool {
        self.take(id).map(drop).is_some()
    }

    /// Takes a copy out. Its key is wiped when it is dropped.
    pub(crate) fn take(&self, id: SessionId) -> Option<NewSession> {
        let taken = self.0.shard(id).take(id)?;
        self.0.taken(1);
        Some(taken.session)
    }

    /// Takes all copies out.
    pub(crate) fn take_all(&self) -> Vec<(SessionId, NewSession)> {
        let mut all = Vec::new();
        self.0.each(|shard| all.extend(shard.take_all(|_| true)));
        self.0.taken(all.len());
        all.into_iter().map(|(id, taken)| (id, taken.session)).collect()
    }
}

impl StoreInner {
    /// What it means that a key cannot be used.
    #[cold]
    pub(super) fn not_used(&self, id: SessionId, now: Moment, error: KeyError) -> KeyError {
        if self.has_copies {
            // Only the store that the machines share knows what is the matter.
            return KeyError::NotHeld;
        }
        if let KeyError::UsedUp(_) = error {
            self.tell_used_up(id, now);
        }
        error
    }

    /// What a use of a key has given. `None` if the key was wiped before. What a copy has given counts only if it may still be
    /// used afterwards: otherwise a machine that was stopped in between would use the key after its deletion.
    pub(super) fn finished<R>(&self, id: SessionId, used: Option<R>) -> Result<R, KeyError> {
        if self.has_copies {
            return used.filter(|_| self.is_held(id)).ok_or(KeyError::NotHeld);
        }
        used.ok_or(KeyError::NotFound)
    }

    /// Whether a copy may be used now.
    fn is_held(&self, id: SessionId) -> bool {
        self.shard(id).standing(id, (0, 0), Moment::now()) != Standing::Missing
    }
}
