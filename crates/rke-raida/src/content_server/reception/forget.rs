//! Keys and resumptions that are removed because their holder asks for it, or because others need the room.
//! `docs/protocol.md` section 7, "Forgetting".

use rke_proto::handshake::keys::{forget_proof, forget_token};
use rke_proto::handshake::packet::Forget;
use rke_proto::handshake::{ForgetProof, ForgetToken, ID_LEN, KeyId, Reason, Response, ResumptionId};
use rke_secret::Secret;

use super::counters::Evicted;
use super::ending::{Closing, Ending};
use super::limits::{Owner, Place};
use super::{Kept, Outcome, Reception};
use crate::audit::ServerEvent;

/// What remains of a removed secret. The secret cannot be derived from it.
pub(super) struct Gone {
    token: ForgetToken,
    proof: ForgetProof,
}

impl Gone {
    fn of(secret: &Secret<32>) -> Self {
        secret.expose(|secret| Self { token: forget_token(secret), proof: forget_proof(secret) })
    }

    /// The proof, for a client with the right token.
    fn proof(&self, token: &ForgetToken) -> Result<ForgetProof, Reason> {
        self.token.matches(token).then_some(self.proof).ok_or(Reason::NoSuchKey)
    }
}

/// The proof that forgetting the secret with this id returns, if the token is right.
pub(super) fn proof_of(
    place: Option<&Place<Kept>>,
    token: &ForgetToken,
) -> Option<Result<ForgetProof, Reason>> {
    place.map(|place| Gone::of(&place.value.secret).proof(token))
}

/// What happened to a secret of a domain.
type Named = fn(String) -> ServerEvent;

impl Reception {
    /// Wipes a key or a resumption for a client with its token. Neither removes the other.
    pub(super) fn forget(&mut self, forget: &Forget) -> Result<Outcome, Reason> {
        let (id, token) = (forget.id, &forget.token);
        let (key_id, resumption) = (KeyId(id), ResumptionId(id));
        let (proof, removed) = if let Some(proof) = proof_of(self.known.keys.get(&key_id), token) {
            let forgotten = |domain| ServerEvent::SessionForgotten { domain };
            (proof?, self.known.keys.take(&key_id).map(|place| (place, forgotten as Named)))
        } else if let Some(proof) = proof_of(self.known.resumptions.get(&resumption), token) {
            let forgotten = |domain| ServerEvent::ResumptionForgotten { domain };
            (proof?, self.known.resumptions.take(&resumption).map(|place| (place, forgotten as Named)))
        } else {
            let gone = self.gone.get(&id).ok_or(Reason::NoSuchKey)?;
            (gone.value.proof(token)?, None)
        };
        let closing = removed.map(|(place, event)| {
            self.counters.forgotten += 1;
            tracing::info!(id = %key_id, "wiped a key or a resumption because the client asked for it");
            self.audit.record_of(id, event(place.value.origin.domain.clone()));
            self.remove_secret(id, place, Ending::Deleted)
        });
        let response = Response::Forgotten { id, proof };
        Ok(Outcome::Forgotten(response, closing.unwrap_or_else(Closing::without_connections)))
    }

    /// Removes keys that others needed the room of.
    pub(super) fn evict_keys(&mut self, gone: Vec<(KeyId, Place<Kept>)>) {
        for (key_id, place) in gone {
            let whose = owner_name(place.owner);
            self.counters.evictions.add(Evicted::Key);
            tracing::info!(%key_id, whose, "a session's key made room for another; it had been unused for longest");
            let domain = place.value.origin.domain.clone();
            self.audit.record_of(key_id.0, ServerEvent::SessionEvicted { domain });
            self.remove_secret(key_id.0, place, Ending::Evicted);
        }
    }

    /// Removes resumptions that others needed the room of.
    pub(super) fn evict_resumptions(&mut self, gone: Vec<(ResumptionId, Place<Kept>)>) {
        for (id, place) in gone {
            let whose = owner_name(place.owner);
            self.counters.evictions.add(Evicted::Resumption);
            tracing::info!(%id, whose, "a resumption made room for another; it had been unused for longest");
            let domain = place.value.origin.domain.clone();
            self.audit.record_of(id.0, ServerEvent::ResumptionEvicted { domain });
            self.remove_secret(id.0, place, Ending::Evicted);
        }
    }

    /// Wipes a secret, notifies its connections, and keeps the proof for a repeated `forget` until its lifetime is
    /// over.
    pub(super) fn remove_secret(&mut self, id: [u8; ID_LEN], place: Place<Kept>, ending: Ending) -> Closing {
        let Place { value: Kept { secret, notifier, .. }, owner, expires_at, .. } = place;
        let gone = Gone::of(&secret);
        drop(secret);
        self.gone.insert(id, gone, owner, expires_at);
        notifier.end(ending)
    }
}

/// An owner, for the log.
fn owner_name(owner: Owner) -> String {
    match owner {
        Owner::Coin(coin) => format!("coin {coin}"),
        Owner::Unproven => "sessions without a proven coin".into(),
    }
}
