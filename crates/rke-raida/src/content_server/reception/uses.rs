//! The stored keys for data: what an application at this end encrypts and decrypts with, and how much.

use std::sync::Arc;

use rke_host::session_keys::HeldSession;
use rke_host::usage::{KeyError, KeyUse, Usage, UsageLimits};
use rke_proto::handshake::KeyId;
use rke_secret::SecretHandle;

use super::limits::Place;
use super::{Kept, Reception};

/// How the data keys of a session were used at this end.
#[derive(Default)]
pub(super) struct Uses {
    /// When the key was agreed on, in Unix seconds.
    since: u64,
    is_resumed: bool,
    pub(super) usage: Usage,
    encrypt_count: u64,
    decrypt_count: u64,
    /// Of a key that other instances share: what this one may do with it.
    pub(super) grant: Option<Box<UseGrant>>,
}

/// What this instance may do with a shared key.
pub(super) struct UseGrant {
    /// How much it may encrypt, counted from when it got its copy.
    pub(super) limits: UsageLimits,
    /// Whether the store has no more to grant.
    pub(super) is_all: bool,
    /// Shared with the streams that use the key.
    pub(super) streams: Arc<()>,
}

impl Uses {
    /// None yet, of a key that was agreed on at `since`.
    pub(super) fn since(since: u64, is_resumed: bool) -> Self {
        Self { since, is_resumed, ..Self::default() }
    }

    /// When the key was agreed on, and whether without asking a RAIDA.
    pub(super) fn origin(&self) -> (u64, bool) {
        (self.since, self.is_resumed)
    }

    fn count(&self, key_use: KeyUse, limits: UsageLimits) -> Result<(), KeyError> {
        let (messages, bytes) = key_use.encrypts();
        let Some(grant) = &self.grant else { return Ok(self.usage.add(messages, bytes, limits)?) };
        let counted = self.usage.add(messages, bytes, grant.limits);
        // More may be granted to the next request.
        counted.map_err(|used_up| if grant.is_all { used_up.into() } else { KeyError::NotHeld })
    }
}

impl Reception {
    /// The sessions whose keys are stored and have not expired at `now`, oldest first. Keys of 8 bits are not among
    /// them: no key id names them.
    pub fn sessions(&self, now: u64) -> Vec<HeldSession> {
        let live = self.known.keys.iter().filter(|(_, place)| place.expires_at > now);
        let mut sessions: Vec<_> = live.map(|(key_id, place)| held(*key_id, place)).collect();
        sessions.sort_by_key(|session| (session.since, session.key_id));
        sessions
    }

    /// The session whose key has this id, if its key has not expired at `now`.
    pub fn session(&self, key_id: &KeyId, now: u64) -> Option<HeldSession> {
        let place = self.known.keys.get(key_id).filter(|place| place.expires_at > now)?;
        Some(held(*key_id, place))
    }

    /// Notes a use of a session's key at `now`, and returns a handle to K.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn use_key(
        &mut self,
        key_id: &KeyId,
        key_use: KeyUse,
        now: u64,
    ) -> Result<SecretHandle<32>, KeyError> {
        let place = self.known.keys.get(key_id).filter(|place| place.expires_at > now);
        place.ok_or(KeyError::NotFound)?.value.uses.count(key_use, self.known.rules.usage)?;
        self.known.keys.touch(key_id);
        let kept = self.known.keys.get_mut(key_id).ok_or(KeyError::NotFound)?;
        match key_use {
            KeyUse::Encrypt(_) => kept.uses.encrypt_count += 1,
            KeyUse::Decrypt => kept.uses.decrypt_count += 1,
            KeyUse::EncryptMore(_)
            | KeyUse::DecryptMore
            | KeyUse::Send(_)
            | KeyUse::Receive
            | KeyUse::Tunnel
            | KeyUse::Export => (),
        }
        Ok(kept.secret.handle())
    }
}

fn held(key_id: KeyId, place: &Place<Kept>) -> HeldSession {
    let (origin, uses) = (&place.value.origin, &place.value.uses);
    HeldSession {
        key_id,
        domain: origin.domain.clone(),
        cs_id: origin.cs_id,
        form: origin.form,
        raidas: origin.raidas,
        is_resumed: uses.is_resumed,
        coin: origin.coin,
        since: uses.since,
        expires_at: place.expires_at,
        encrypt_count: uses.encrypt_count,
        decrypt_count: uses.decrypt_count,
    }
}
