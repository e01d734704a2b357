//! The responses: status, keys, and errors, in the forms of the standard. Each error has a JSON body.

use std::sync::Arc;

use rke_proto::export::etsi::{EtsiKey, EtsiKeyId, ID_RANDOM_LEN, KeySize, SaeId};
use rke_proto::handshake::KeyId;
use serde_json::json;

use super::delivered::{Delivered, MOST, Withheld};
use super::refusal::Refusal;
use super::request::{MOST_KEYS, Request};
use super::{End, Source};
use crate::http::message::secret_body::SecretBody;

/// JSON for a key, without the key and its id.
const KEY_LEN: usize = 40;

/// Serves the requests of SAEs.
pub(super) struct Answerer<E> {
    end: Arc<E>,
    delivered: Arc<Delivered>,
}

impl<E: End> Answerer<E> {
    pub(super) fn new(end: Arc<E>, delivered: Arc<Delivered>) -> Self {
        Self { end, delivered }
    }

    /// The JSON of a success. It may hold keys.
    pub(super) async fn answer(&self, sae: &SaeId, request: Request) -> Result<SecretBody, Refusal> {
        match request {
            Request::Status(slave) => {
                let source = self.end.source(&slave).await?;
                Ok(self.status(sae, &slave, source))
            }
            Request::Make { slave, number, size } => {
                let source = self.end.source(&slave).await?;
                self.make(source.session, sae, &slave, number, size)
            }
            Request::Fetch { master, ids } => self.fetch(&master, sae, &ids),
        }
    }

    fn status(&self, master: &SaeId, slave: &SaeId, Source { session, names }: Source) -> SecretBody {
        let [source, target] = names;
        let status = json!({
            "source_KME_ID": source,
            "target_KME_ID": target,
            "master_SAE_ID": master.as_str(),
            "slave_SAE_ID": slave.as_str(),
            "key_size": KeySize::DEFAULT.bits(),
            "stored_key_count": self.delivered.room(&session),
            "max_key_count": MOST,
            "max_key_per_request": MOST_KEYS,
            "max_key_size": KeySize::MAX.bits(),
            "min_key_size": KeySize::MIN.bits(),
            "max_SAE_ID_count": 0,
        });
        let mut body = SecretBody::with_capacity(0);
        body.push(&status.to_string());
        body
    }

    fn make(
        &self,
        session: KeyId,
        master: &SaeId,
        slave: &SaeId,
        number: usize,
        size: KeySize,
    ) -> Result<SecretBody, Refusal> {
        self.delivered.retain(|session| self.end.is_live(session));
        let mut keys = Vec::with_capacity(number);
        while keys.len() < number {
            let mut random = [0; ID_RANDOM_LEN];
            getrandom::fill(&mut random).map_err(|error| {
                tracing::error!(%error, "the system's generator of random bytes failed");
                Refusal::unavailable("no key can be named at the moment")
            })?;
            let key = EtsiKey { id: EtsiKeyId::new(&session, size, random), master, slave };
            match self.delivered.make(session, &key) {
                Ok(()) => keys.push((session, key)),
                // Drawn before: another one is drawn.
                Err(Withheld::Repeated) => (),
                Err(withheld) => return Err(withheld.into()),
            }
        }
        self.hand_out(&keys)
    }

    fn fetch(&self, master: &SaeId, slave: &SaeId, ids: &[EtsiKeyId]) -> Result<SecretBody, Refusal> {
        self.delivered.retain(|session| self.end.is_live(session));
        let key = |id: &EtsiKeyId| -> Result<_, Refusal> {
            let session = self.end.find(master, *id)?.ok_or_else(Refusal::unknown_key)?;
            Ok((session, EtsiKey { id: *id, master, slave }))
        };
        let keys = ids.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        self.delivered.fetch(&keys)?;
        self.hand_out(&keys)
    }

    /// The standard's key container.
    fn hand_out(&self, keys: &[(KeyId, EtsiKey<'_>)]) -> Result<SecretBody, Refusal> {
        let len = keys.iter().map(|(_, key)| KEY_LEN + 36 + 2 * key.id.size().bytes()).sum::<usize>();
        let mut body = SecretBody::with_capacity(len + KEY_LEN);
        body.push(r#"{"keys":["#);
        for (at, (session, key)) in keys.iter().enumerate() {
            body.push(if at == 0 { r#"{"key_ID":""# } else { r#",{"key_ID":""# });
            body.push(&key.id.to_string());
            body.push(r#"","key":""#);
            let write = &mut |export_key: &[u8; 32]| key.derive(export_key, |key| body.push_base64(key));
            if !self.end.with_export_key(session, write) {
                return Err(Refusal::unknown_key());
            }
            body.push(r#""}"#);
        }
        body.push("]}");
        self.note(keys);
        Ok(body)
    }

    /// Reports the keys, all of which have the same two SAEs.
    fn note(&self, keys: &[(KeyId, EtsiKey<'_>)]) {
        let mut rest = keys;
        while let Some((session, EtsiKey { master, slave, .. })) = rest.first() {
            let same = rest.iter().take_while(|(other, _)| other == session).count();
            self.end.note(session, &format!("ETSI QKD 014: {master} to {slave}"), same);
            rest = &rest[same..];
        }
    }
}
