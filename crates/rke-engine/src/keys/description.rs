//! What stands in the clear, and authenticated, before a secret in a file of the cache.

use std::sync::Arc;

use rke_host::sealed::SealError;
use rke_proto::handshake::ResumptionId;
use rke_proto::tunnel::ClientKeyId;
use rke_proto::{ContentServerId, Form};
use rke_secret::Secret;
use serde::{Deserialize, Serialize};

use super::Written;
use crate::Domain;
use crate::exchange::{Kept, KeptSecret};
use crate::model::key_origin::{KeyOrigin, TunnelName};
use crate::model::server_name::ServerName;
use crate::model::viewer::Page;

/// The description, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Description {
    domain: String,
    /// The origin of the page that it was made for, or `null`. A file without it is of an earlier form.
    #[serde(deserialize_with = "Option::deserialize")]
    page: Option<String>,
    /// Unix seconds.
    pub(super) expires_at: u64,
    cs_id: String,
    envelopes: Vec<u8>,
    raidas: Vec<u8>,
    liars: Vec<u8>,
    /// `DENOMINATION:SERIAL` of each.
    coins: Vec<String>,
    proven: Option<String>,
    host: String,
    port: u16,
    secret: Secrecy,
}

/// What the secret is.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Secrecy {
    /// A resumption secret, under its name in hex, of sessions of this form; it is good until then, in Unix seconds.
    Resumption { id: String, form: String, lives_until: u64 },
    /// A narrow key, which run of the daemon has written it, in hex, as which of its files, and the key's names at the
    /// Content Server in hex.
    Narrow { run: String, number: u64, tunnel: Option<(String, String)> },
}

impl Description {
    /// Of what is kept of an exchange.
    pub(super) fn new(kept: &Kept, page: Option<&Page>, expires_at: u64, written: Written) -> Self {
        let Kept { origin, secret } = kept;
        let secret = match secret {
            KeptSecret::Resumption { id, lives_until, .. } => {
                let form = origin.form.to_string();
                Secrecy::Resumption { id: id.to_string(), form, lives_until: *lives_until }
            }
            KeptSecret::Narrow { .. } => {
                let hex = |name: &TunnelName| (hex::encode(name.key_id.0), hex::encode(name.session));
                let Written { run, number } = written;
                Secrecy::Narrow { run: hex::encode(run), number, tunnel: origin.tunnel.as_ref().map(hex) }
            }
        };
        Self {
            domain: origin.domain.to_string(),
            page: page.map(|page| page.origin().to_owned()),
            expires_at,
            cs_id: origin.cs_id.to_string(),
            envelopes: origin.envelopes.clone(),
            raidas: origin.raidas.clone(),
            liars: origin.liars.clone(),
            coins: origin.coins.iter().map(ToString::to_string).collect(),
            proven: origin.proven.map(|coin| coin.to_string()),
            host: origin.server.host.clone(),
            port: origin.server.port,
            secret,
        }
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, SealError> {
        serde_json::from_slice(bytes).map_err(|_| SealError::Malformed)
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, SealError> {
        serde_json::to_vec(self).map_err(|_| SealError::Malformed)
    }

    /// The domain that it is of.
    pub(super) fn domain(&self) -> Option<Domain> {
        Domain::new(&self.domain)
    }

    /// The page that it was made for, if one had asked.
    pub(super) fn page(&self) -> Option<Page> {
        self.page.as_deref().map(Page::new)
    }

    /// Which write it is of a narrow key's file.
    pub(super) fn written(&self) -> Result<Option<Written>, SealError> {
        match &self.secret {
            Secrecy::Resumption { .. } => Ok(None),
            Secrecy::Narrow { run, number, .. } => {
                let run = from_hex(run).ok_or(SealError::Malformed)?;
                Ok(Some(Written { run, number: *number }))
            }
        }
    }

    /// What was kept, with its secret. `None` where a field says what it cannot.
    pub(super) fn into_kept(self, secret: Secret<32>) -> Option<Kept> {
        let (form, tunnel, secret) = match self.secret {
            Secrecy::Resumption { id, form, lives_until } => {
                let id = ResumptionId(from_hex(&id)?);
                let form = Form::of_name(&form).filter(|form| form.is_handshake_3())?;
                (form, None, KeptSecret::Resumption { secret, id, lives_until })
            }
            Secrecy::Narrow { tunnel, .. } => {
                let name = |(key_id, session): (String, String)| {
                    Some(TunnelName { key_id: ClientKeyId(from_hex(&key_id)?), session: from_hex(&session)? })
                };
                let tunnel = match tunnel {
                    Some(names) => Some(name(names)?),
                    None => None,
                };
                (Form::Live, tunnel, KeptSecret::Narrow { key: secret, usage: Arc::default() })
            }
        };
        let coins = self.coins.iter().map(|coin| coin.parse().ok()).collect::<Option<_>>()?;
        let proven = match self.proven {
            Some(coin) => Some(coin.parse().ok()?),
            None => None,
        };
        let origin = KeyOrigin {
            domain: Domain::new(&self.domain)?,
            cs_id: ContentServerId::new(&self.cs_id)?,
            form,
            envelopes: self.envelopes,
            raidas: self.raidas,
            liars: self.liars,
            coins,
            proven,
            server: ServerName { host: self.host, port: self.port },
            tunnel,
        };
        Some(Kept { origin: Arc::new(origin), secret })
    }
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
