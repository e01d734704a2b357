//! Keys and resumptions that go because their holder wants them gone, or because others need the room.
//! `docs/protocol.md` section 7, "Forgetting".

use rke_proto::handshake::keys::{forget_proof, forget_token};
use rke_proto::handshake::packet::Forget;
use rke_proto::handshake::{ForgetProof, ForgetToken, ID_LEN, KeyId, Reason, Response, ResumptionId};
use rke_secret::Secret;

use super::limits::{Owner, Place};
use super::line::{Closing, Ending};
use super::{Kept, Outcome, Reception};

/// What is left of a secret that is gone. Nothing of it follows from this.
pub(super) struct Gone {
    token: ForgetToken,
    proof: ForgetProof,
}

impl Gone {
    fn of(secret: &Secret<32>) -> Self {
        secret.expose(|secret| Self { token: forget_token(secret), proof: forget_proof(secret) })
    }

    /// The proof, for anyone who has the token.
    fn proof(&self, token: &ForgetToken) -> Result<ForgetProof, Reason> {
        self.token.matches(token).then_some(self.proof).ok_or(Reason::NoSuchKey)
    }
}

/// What the secret with this id gives, once the token is shown to be right.
fn proof_of(place: Option<&Place<Kept>>, token: &ForgetToken) -> Option<Result<ForgetProof, Reason>> {
    place.map(|place| Gone::of(&place.value.secret).proof(token))
}

impl Reception {
    /// Wipes a key or a resumption for anyone who has its token. Neither takes the other along.
    pub(super) fn forget(&mut self, forget: &Forget) -> Result<Outcome, Reason> {
        let (id, token) = (forget.id, &forget.token);
        let (key_id, resumption) = (KeyId(id), ResumptionId(id));
        let (proof, closing) = if let Some(proof) = proof_of(self.known.keys.get(&key_id), token) {
            (proof?, self.known.keys.take(&key_id).map(|place| self.let_go(id, place, Ending::Deleted)))
        } else if let Some(proof) = proof_of(self.known.resumptions.get(&resumption), token) {
            (
                proof?,
                self.known.resumptions.take(&resumption).map(|place| self.let_go(id, place, Ending::Deleted)),
            )
        } else {
            let gone = self.gone.get(&id).ok_or(Reason::NoSuchKey)?;
            (gone.value.proof(token)?, None)
        };
        if closing.is_some() {
            tracing::info!(id = %key_id, "wiped a key or a resumption because the client asked for it");
        }
        let response = Response::Forgotten { id, proof };
        Ok(Outcome::Forgotten(response, closing.unwrap_or_else(Closing::of_nobody)))
    }

    /// Keys that had to make room.
    pub(super) fn give_up_keys(&mut self, gone: Vec<(KeyId, Place<Kept>)>) {
        for (key_id, place) in gone {
            let whose = whose(place.owner);
            tracing::info!(%key_id, whose, "a session's key made room for another; it had been unused for longest");
            self.let_go(key_id.0, place, Ending::GivenUp);
        }
    }

    /// Resumptions that had to make room.
    pub(super) fn give_up_resumptions(&mut self, gone: Vec<(ResumptionId, Place<Kept>)>) {
        for (id, place) in gone {
            let whose = whose(place.owner);
            tracing::info!(%id, whose, "a resumption made room for another; it had been unused for longest");
            self.let_go(id.0, place, Ending::GivenUp);
        }
    }

    /// Wipes a secret, tells those who hang on it, and keeps what answers a later `forget` until its lifetime is over.
    fn let_go(&mut self, id: [u8; ID_LEN], place: Place<Kept>, ending: Ending) -> Closing {
        let Place { value: Kept { secret, line, .. }, owner, expires_at, .. } = place;
        let gone = Gone::of(&secret);
        drop(secret);
        self.gone.insert(id, gone, owner, expires_at);
        line.end(ending)
    }
}

/// An owner, for the log.
fn whose(owner: Owner) -> String {
    match owner {
        Owner::Coin(coin) => format!("coin {coin}"),
        Owner::Unproven => "sessions without a proven coin".into(),
    }
}
