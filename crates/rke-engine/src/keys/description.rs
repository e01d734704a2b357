//! The description of a secret in a file of the cache. It precedes the secret, in the clear but authenticated.

use std::sync::Arc;

use rke_host::sealed::SealError;
use rke_proto::handshake::ResumptionId;
use rke_proto::tunnel::ClientKeyId;
use rke_proto::{ContentServerId, Form};
use rke_secret::Secret;
use serde::{Deserialize, Serialize};

use super::WriteId;
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
    /// The origin of the page that the key was made for, or `null`. A file without this field has an earlier format.
    #[serde(deserialize_with = "Option::deserialize")]
    page: Option<String>,
    /// Unix seconds.
    pub(super) expires_at: u64,
    cs_id: String,
    envelopes: Vec<u8>,
    raidas: Vec<u8>,
    liars: Vec<u8>,
    /// `DENOMINATION:SERIAL` of each coin.
    coins: Vec<String>,
    proven: Option<String>,
    host: String,
    port: u16,
    secret: Secrecy,
}

/// The kind of the secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
enum Secrecy {
    /// A resumption secret: its id in hex, the form of its sessions, and its expiry in Unix seconds.
    Resumption { id: String, form: String, lives_until: u64 },
    /// A narrow key: the run of the daemon that wrote it, in hex, the number of the write in that run, and the key's
    /// names at the Content Server, in hex.
    Narrow { run: String, number: u64, tunnel: Option<(String, String)> },
}

impl Description {
    /// The description of a kept exchange.
    pub(super) fn new(kept: &Kept, page: Option<&Page>, expires_at: u64, write_id: WriteId) -> Self {
        let Kept { origin, secret } = kept;
        let secret = match secret {
            KeptSecret::Resumption { id, lives_until, .. } => {
                let form = origin.form.to_string();
                Secrecy::Resumption { id: id.to_string(), form, lives_until: *lives_until }
            }
            KeptSecret::Narrow { .. } => {
                let hex = |name: &TunnelName| (hex::encode(name.key_id.0), hex::encode(name.session));
                let WriteId { run, number } = write_id;
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

    pub(super) fn domain(&self) -> Option<Domain> {
        Domain::new(&self.domain)
    }

    /// The page that the key was made for, if a page requested it.
    pub(super) fn page(&self) -> Option<Page> {
        self.page.as_deref().map(Page::new)
    }

    /// Identifies the write of a narrow key's file.
    pub(super) fn write_id(&self) -> Result<Option<WriteId>, SealError> {
        match &self.secret {
            Secrecy::Resumption { .. } => Ok(None),
            Secrecy::Narrow { run, number, .. } => {
                let run = from_hex(run).ok_or(SealError::Malformed)?;
                Ok(Some(WriteId { run, number: *number }))
            }
        }
    }

    /// The kept exchange, with its secret. `None` if a field has an invalid value.
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

/// Decodes a description and encodes it again. `None` if it describes nothing usable.
#[cfg(feature = "testing")]
pub fn rewritten(bytes: &[u8], secret: Secret<32>) -> Option<Vec<u8>> {
    let description = Description::decode(bytes).ok()?;
    let (page, expires_at, write_id) =
        (description.page(), description.expires_at, description.write_id().ok()?);
    let kept = description.into_kept(secret)?;
    let write_id = write_id.unwrap_or(WriteId { run: [0; 16], number: 0 });
    Description::new(&kept, page.as_ref(), expires_at, write_id).to_bytes().ok()
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}
