//! One session in the store: when it ends, how it was used, what may be shown about it.

use std::time::Duration;

use jiff::Timestamp;

use super::{CopyTerms, KeyUse, NewSession, SessionInfo, SessionLimits};
use crate::model::clock::{Moment, timestamp, wall_clock};
use crate::model::session_id::SessionId;
use crate::model::usage::{UsageLimits, UsedUp};

/// A session in the store.
pub(super) struct Entry {
    pub(super) id: SessionId,
    pub(super) session: NewSession,
    /// Times shown to people, in Unix seconds.
    created_at: u32,
    expires_at: u32,
    pub(super) created: Moment,
    /// When it ends, no matter how much it is used.
    deadline: Moment,
    /// The latest use. Overlapping requests may be noted in any order.
    last_used: Moment,
    /// Its position in the order of deadlines: its end, or an earlier moment if it was used since it was queued.
    pub(super) queued: Moment,
    encrypt_count: u64,
    decrypt_count: u64,
}

impl Entry {
    /// A session that is opened at `created`.
    pub(super) fn new(id: SessionId, session: NewSession, rules: &SessionLimits, created: Moment) -> Self {
        let (time, deadline) = (wall_clock(), created.after(rules.ttl));
        let (created_at, expires_at) = (seconds(time), seconds_after(time, rules.ttl));
        let mut entry = Self {
            id,
            session,
            created_at,
            expires_at,
            created,
            deadline,
            last_used: created,
            queued: deadline,
            encrypt_count: 0,
            decrypt_count: 0,
        };
        entry.queued = entry.end(rules);
        entry.note_change();
        entry
    }

    /// A copy of a session that other machines share, taken at `now`.
    pub(super) fn of_copy(id: SessionId, session: NewSession, copy: CopyTerms, now: Moment) -> Self {
        Self {
            id,
            session,
            created_at: copy.created_at,
            expires_at: copy.expires_at,
            created: now,
            deadline: copy.until,
            last_used: now,
            queued: copy.until,
            encrypt_count: 0,
            decrypt_count: 0,
        }
    }

    /// Lets a copy be used for longer.
    pub(super) fn extend(&mut self, copy: CopyTerms) {
        self.deadline = self.deadline.max(copy.until);
        self.expires_at = copy.expires_at;
    }

    /// Notes a change for the page that opened the session.
    pub(super) fn note_change(&self) {
        if let Some(page) = &self.session.page {
            page.note_change();
        }
    }

    /// When it ends if it is not used again.
    pub(super) fn end(&self, rules: &SessionLimits) -> Moment {
        rules.idle.map_or(self.deadline, |idle| self.deadline.min(self.last_used.after(idle)))
    }

    pub(super) fn has_ended(&self, now: Moment, rules: &SessionLimits) -> bool {
        self.end(rules) <= now
    }

    /// Follows other rules. A session that has ended stays ended: it may not be swept yet, but its id is dead.
    pub(super) fn change_rules(&mut self, before: &SessionLimits, after: &SessionLimits, now: Moment) {
        if self.has_ended(now, before) {
            self.deadline = self.end(before);
        }
        self.queued = self.end(after);
    }

    pub(super) fn renew(&mut self, now: Moment, rules: &SessionLimits) {
        let latest = self.created.after(rules.max_lifetime);
        self.deadline = self.deadline.max(now.after(rules.ttl).min(latest));
        self.expires_at = seconds_after(wall_clock(), self.deadline.since(now));
        self.last_used = self.last_used.max(now);
        self.note_change();
    }

    /// Counts a use of the key.
    pub(super) fn use_key(
        &mut self,
        key_use: KeyUse,
        now: Moment,
        limits: UsageLimits,
    ) -> Result<(), UsedUp> {
        let (messages, bytes) = key_use.encrypts();
        self.session.key.usage().add(messages, bytes, limits)?;
        self.last_used = self.last_used.max(now);
        match key_use {
            KeyUse::Encrypt(_) => self.encrypt_count += 1,
            KeyUse::Decrypt => self.decrypt_count += 1,
            KeyUse::EncryptMore(_)
            | KeyUse::DecryptMore
            | KeyUse::Send(_)
            | KeyUse::Receive
            | KeyUse::Tunnel
            | KeyUse::Export => (),
        }
        self.note_change();
        Ok(())
    }

    pub(super) fn row(&self) -> SessionInfo {
        SessionInfo {
            session_id: self.id.to_string(),
            created_at: timestamp(self.created_at),
            expires_at: timestamp(self.expires_at),
            encrypt_count: self.encrypt_count,
            decrypt_count: self.decrypt_count,
            from_cache: self.session.from_cache,
            origin: self.session.origin.clone(),
            key_id: self.session.key.key_id(),
            lives_until: self.session.key.lives_until(),
        }
    }
}

fn seconds_after(time: Timestamp, wait: Duration) -> u32 {
    seconds(time.saturating_add(wait).unwrap_or(Timestamp::MAX))
}

/// Fits until the year 2106.
fn seconds(time: Timestamp) -> u32 {
    time.as_second().try_into().unwrap_or(u32::MAX)
}
