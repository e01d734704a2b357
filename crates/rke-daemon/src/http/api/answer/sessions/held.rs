//! The responses of a Content Server about its sessions: those of a daemon as far as it has their fields, and the coin
//! that the client has proven.

use rke_engine::model::clock::timestamp;
use rke_host::session_keys::HeldSession;
use rke_proto::Form;
use rke_proto::coin::CoinId;
use serde::Serialize;

use super::{Authenticated, SessionRow, Shown, in_words};

/// A session in the list.
#[derive(Serialize)]
struct HeldRow {
    /// Its id is that of its key.
    #[serde(flatten)]
    row: SessionRow,
    /// How well the two ends know each other.
    authenticated: &'static str,
    /// The coin that the client has proven. `null` where it has proven none.
    #[serde(serialize_with = "in_words")]
    coin: Option<CoinId>,
}

/// The sessions whose keys the Content Server holds.
#[derive(Serialize)]
pub(in crate::http) struct HeldList {
    command: &'static str,
    success: bool,
    total: usize,
    active: usize,
    /// Oldest first.
    sessions: Vec<HeldRow>,
    /// Keys of 8 bits have no key id, so none is among them.
    weak: usize,
    weakly_authenticated: usize,
}

impl From<&HeldSession> for SessionRow {
    fn from(held: &HeldSession) -> Self {
        Self {
            session_id: held.key_id.to_string(),
            domain: held.domain.clone(),
            cs_id: held.cs_id.to_string(),
            created_at: timestamp(held.since),
            expires_at: timestamp(held.expires_at),
            encrypt_count: held.encrypt_count,
            decrypt_count: held.decrypt_count,
        }
    }
}

impl HeldList {
    pub(in crate::http) fn new(held: &[HeldSession]) -> Self {
        let row = |held: &HeldSession| HeldRow {
            row: SessionRow::from(held),
            authenticated: Authenticated::by(held.form).name(),
            coin: held.coin,
        };
        Self {
            command: "rke_sessions",
            success: true,
            total: held.len(),
            active: held.len(),
            sessions: held.iter().map(row).collect(),
            weak: 0,
            weakly_authenticated: held.iter().filter(|held| held.form == Form::Handshake3Narrow).count(),
        }
    }
}

impl Shown {
    /// A session at a Content Server, which sees neither the requests for the shares nor the wrong shares.
    pub(in crate::http) fn held(held: &HeldSession) -> Self {
        Self {
            row: SessionRow::from(held),
            key_bits: held.form.key_bits(),
            envelope: Vec::new(),
            raidas: held.raidas.iter().map(|raida| raida.get()).collect(),
            liars: Vec::new(),
            from_cache: held.is_resumed,
            confirmed: true,
            key_id: Some(held.key_id),
            forward_secret: held.form.is_handshake_3(),
            authenticated: Authenticated::by(held.form).name(),
            coin: held.coin,
            tunnel_broken_off: None,
            key_gone: false,
        }
    }
}
