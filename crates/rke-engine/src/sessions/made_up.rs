//! Sessions made without a handshake, for benches: a million handshakes would take hours. No shipped program has this
//! module.

use std::sync::Arc;

use getrandom::fill;
use rke_proto::handshake::{KeyId, ResumptionId, SessionSecrets};
use rke_secret::Secret;

use crate::exchange::{Kept, KeptSecret};
use crate::model::key_origin::KeyOrigin;
use crate::model::session_key::SessionKey;

/// What the cache has to keep so that sessions of this origin are made up.
///
/// # Errors
/// If no secret memory is left.
pub fn kept(origin: KeyOrigin) -> Result<Kept, rke_secret::SecretError> {
    let secret = Secret::random()?;
    let secret =
        KeptSecret::Resumption { secret, id: ResumptionId([1; 16]), lives_until: u64::from(u32::MAX) };
    Ok(Kept { origin: Arc::new(origin), secret })
}

/// Keys of a session, as a handshake would make them.
///
/// # Errors
/// If no secret memory is left.
pub fn session_key() -> Result<SessionKey, rke_secret::SecretError> {
    let mut id = [0; 16];
    fill(&mut id)?;
    let secrets = SessionSecrets { key: Secret::random()?, resumption: Secret::random()?, key_id: KeyId(id) };
    SessionKey::of_handshake(secrets, u64::from(u32::MAX)).map(|(key, _)| key)
}
