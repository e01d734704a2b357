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

#[cfg(test)]
mod tests {
    use rke_host::exports::Exports;
    use rke_host::usage::{KeyError, KeyUse};
    use rke_proto::{Bitmap, ContentServerId};
    use rke_secret::SecretHandle;

    use super::*;

    const CLIENT: CoinId = CoinId { denomination: 0, serial: 1 };
    const OTHER: CoinId = CoinId { denomination: 0, serial: 2 };

    /// Sessions, oldest first, without keys.
    struct Sessions(Vec<HeldSession>, Exports);

    impl SessionKeys for Sessions {
        fn sessions(&self) -> Vec<HeldSession> {
            self.0.clone()
        }

        fn session(&self, key_id: &KeyId) -> Option<HeldSession> {
            self.0.iter().find(|session| session.key_id == *key_id).cloned()
        }

        fn use_key(&self, _: &KeyId, _: KeyUse) -> Result<SecretHandle<32>, KeyError> {
            Err(KeyError::NotFound)
        }

        fn exports(&self) -> &Exports {
            &self.1
        }

        fn note_exports(&self, _: &HeldSession, _: &str, _: usize) {}
    }

    fn session(byte: u8, form: Form, coin: Option<CoinId>) -> HeldSession {
        HeldSession {
            key_id: KeyId([byte; 16]),
            domain: "content.rke.test".into(),
            cs_id: ContentServerId::new("CONTENT-SERVER01").expect("an id"),
            form,
            raidas: Bitmap::default(),
            is_resumed: false,
            coin,
            since: byte.into(),
            expires_at: u64::MAX,
            encrypt_count: 0,
            decrypt_count: 0,
        }
    }

    fn sae(text: &str) -> SaeId {
        SaeId::new(text).expect("an SAE ID")
    }

    /// An end with the clients `alice` and `carol`.
    fn end(sessions: Vec<HeldSession>) -> ContentServerEnd {
        let clients =
            [(CLIENT, "alice"), (OTHER, "carol")].map(|(coin, of)| EtsiClient { coin, sae: sae(of) });
        ContentServerEnd::new(Arc::new(Sessions(sessions, Exports::default())), &clients)
    }

    #[tokio::test]
    async fn keys_come_from_the_newest_wide_session_of_the_clients_own_coin() {
        let end = end(vec![
            session(1, Form::Wide, Some(CLIENT)),
            session(2, Form::Wide, Some(CLIENT)),
            session(3, Form::Wide, Some(OTHER)),
            session(4, Form::Handshake3Narrow, Some(CLIENT)),
            session(5, Form::Wide, None),
        ]);
        let of = async |name: &str| end.source(&sae(name)).await.map(|source| source.session);
        assert_eq!(of("alice").await, Ok(KeyId([2; 16])));
        assert_eq!(of("carol").await, Ok(KeyId([3; 16])));
        assert_eq!(of("bob").await.map_err(|refusal| refusal.status().as_u16()), Err(401));
    }

    #[tokio::test]
    async fn nobody_gets_keys_of_another_clients_session() {
        let end = end(vec![session(3, Form::Wide, Some(OTHER)), session(4, Form::Wide, None)]);
        let refused = end.source(&sae("alice")).await.map(|source| source.session);
        assert_eq!(refused.map_err(|refusal| refusal.status().as_u16()), Err(503));
        for other in [3, 4] {
            let id = EtsiKeyId::new(&KeyId([other; 16]), rke_proto::export::etsi::KeySize::DEFAULT, [0; 7]);
            assert_eq!(end.find(&sae("alice"), id), Ok(None));
            assert_eq!(end.find(&sae("carol"), id), Ok((other == 3).then_some(KeyId([3; 16]))));
        }
    }
}
