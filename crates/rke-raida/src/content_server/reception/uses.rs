//! The stored keys for data: what an application at this end encrypts and decrypts with, and how much.

use rke_host::session_keys::HeldSession;
use rke_host::usage::{KeyError, KeyUse, Usage};
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
    usage: Usage,
    encrypt_count: u64,
    decrypt_count: u64,
}

impl Uses {
    /// None yet, of a key that was agreed on at `since`.
    pub(super) fn since(since: u64, is_resumed: bool) -> Self {
        Self { since, is_resumed, ..Self::default() }
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
        let limits = self.known.rules.usage;
        let place = self.known.keys.get(key_id).filter(|place| place.expires_at > now);
        let (messages, bytes) = key_use.encrypts();
        place.ok_or(KeyError::NotFound)?.value.uses.usage.add(messages, bytes, limits)?;
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
