//! The Content Server's end. Its clients are known by the coins that they have proven.

use std::collections::BTreeMap;
use std::sync::Arc;

use rke_host::session_keys::{HeldSession, SessionKeys, with_export_key};
use rke_proto::Form;
use rke_proto::coin::CoinId;
use rke_proto::export::etsi::{EtsiKeyId, SaeId};
use rke_proto::handshake::KeyId;

use super::refusal::Refusal;
use super::{End, Source};

/// A client, and its SAE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtsiClient {
    /// The coin that it proves.
    pub coin: CoinId,
    /// The SAE at its end.
    pub sae: SaeId,
}

/// The sessions of a Content Server's clients.
pub(crate) struct ContentServerEnd {
    keys: Arc<dyn SessionKeys>,
    clients: BTreeMap<SaeId, Vec<CoinId>>,
}

impl ContentServerEnd {
    pub(crate) fn new(keys: Arc<dyn SessionKeys>, clients: &[EtsiClient]) -> Self {
        let mut coins = BTreeMap::<_, Vec<_>>::new();
        for EtsiClient { coin, sae } in clients {
            coins.entry(sae.clone()).or_default().push(*coin);
        }
        Self { keys, clients: coins }
    }

    /// The sessions with the client of an SAE, oldest first.
    fn sessions(&self, sae: &SaeId) -> Result<impl DoubleEndedIterator<Item = HeldSession>, Refusal> {
        let coins = self.clients.get(sae);
        let coins =
            coins.ok_or_else(|| Refusal::unauthorized("this key server shares no keys with that SAE"))?;
        let is_theirs = |session: &HeldSession| {
            session.form == Form::Wide && session.coin.is_some_and(|coin| coins.contains(&coin))
        };
        Ok(self.keys.sessions().into_iter().filter(is_theirs))
    }
}

impl End for ContentServerEnd {
    async fn source(&self, other: &SaeId) -> Result<Source, Refusal> {
        let newest = self.sessions(other)?.next_back();
        let newest =
            newest.ok_or_else(|| Refusal::unavailable("that SAE's client has no session at the moment"))?;
        let coin = newest.coin.map(|coin| coin.to_string()).unwrap_or_default();
        Ok(Source { session: newest.key_id, names: [newest.domain, coin] })
    }

    fn find(&self, other: &SaeId, id: EtsiKeyId) -> Result<Option<KeyId>, Refusal> {
        let found = self.sessions(other)?.find(|session| id.is_of(&session.key_id));
        Ok(found.map(|session| session.key_id))
    }

    fn is_live(&self, session: &KeyId) -> bool {
        self.keys.session(session).is_some()
    }

    fn with_export_key(&self, session: &KeyId, work: &mut dyn FnMut(&[u8; 32])) -> bool {
        with_export_key(&*self.keys, session, work).is_ok()
    }

    fn note(&self, session: &KeyId, label: &str, count: usize) {
        if let Some(session) = self.keys.session(session) {
            self.keys.note_exports(&session, label, count);
        }
    }
}
