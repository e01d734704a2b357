//! What a shared store has of a session besides its key, or of a resumption secret: where the key comes from, whose it is, and what is
//! needed to have it wiped at the Content Server. The store has it sealed. Version 1 of the format; numbers are big-endian.

use std::sync::Arc;

use rke_proto::coin::CoinId;
use rke_proto::cursor::Cursor;
use rke_proto::handshake::{ForgetProof, ForgetToken, ID_LEN};
use rke_proto::{ContentServerId, DecodeError, Form};

use crate::Domain;
use crate::model::key_origin::KeyOrigin;
use crate::model::remote_deletion::RemoteDeletion;
use crate::model::server_name::ServerName;
use crate::model::viewer::Page;

const VERSION: u8 = 1;

/// The number of each form in this format. Live sessions are not shared.
const FORMS: [(u8, Form); 2] = [(1, Form::Handshake3Narrow), (2, Form::Wide)];

/// A session's key, or a resumption secret, without the secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Description {
    pub(super) origin: Arc<KeyOrigin>,
    pub(super) page: Option<Page>,
    /// Whether the session was opened from the cache.
    pub(super) from_cache: bool,
    /// The name of the secret at the Content Server.
    pub(super) id: [u8; ID_LEN],
    /// In Unix seconds: when it expires there.
    pub(super) lives_until: u32,
}

/// What is needed to have the secret wiped at the other end, besides its description.
#[derive(Clone, Copy)]
pub(super) struct Farewell {
    pub(super) token: ForgetToken,
    pub(super) proof: ForgetProof,
}

impl Description {
    /// `None` if something is too long for the format, or the session is a live one.
    pub(super) fn to_bytes(&self) -> Option<Vec<u8>> {
        let origin = &self.origin;
        let (form, _) = FORMS.into_iter().find(|(_, form)| *form == origin.form)?;
        let mut bytes = vec![VERSION, u8::from(self.from_cache), form];
        bytes.extend(self.id);
        bytes.extend(self.lives_until.to_be_bytes());
        let page = self.page.as_ref().map_or("", Page::origin);
        for text in [origin.domain.as_str(), origin.cs_id.as_str(), &origin.server.host, page] {
            put(&mut bytes, text.as_bytes())?;
        }
        bytes.extend(origin.server.port.to_be_bytes());
        for list in [&origin.envelopes, &origin.raidas, &origin.liars] {
            put(&mut bytes, list)?;
        }
        for coins in [origin.coins.as_slice(), origin.proven.as_slice()] {
            let coins: Vec<u8> = coins.iter().flat_map(|coin| coin.to_bytes()).collect();
            put(&mut bytes, &coins)?;
        }
        Some(bytes)
    }

    /// # Errors
    /// [`DecodeError`].
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        number("version", cursor.u8("version")?, |version| (version == VERSION).then_some(()))?;
        let from_cache = number("flag", cursor.u8("flag")?, |flag| match flag {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        })?;
        let form_of = |form| FORMS.into_iter().find(|(number, _)| *number == form).map(|(_, form)| form);
        let form = number("form", cursor.u8("form")?, form_of)?;
        let (id, lives_until) = (cursor.array("id")?, cursor.u32("end of life")?);
        let domain = Domain::new(text(&mut cursor, "domain")?).ok_or(DecodeError::Mismatch("the domain"))?;
        let cs_id = ContentServerId::new(text(&mut cursor, "Content Server ID")?);
        let cs_id = cs_id.ok_or(DecodeError::Mismatch("the Content Server ID"))?;
        let host = text(&mut cursor, "host")?.to_owned();
        let page = Some(text(&mut cursor, "page")?).filter(|page| !page.is_empty()).map(Page::new);
        let server = ServerName { host, port: cursor.u16("port")? };
        let envelopes = list(&mut cursor, "envelopes")?.to_vec();
        let raidas = list(&mut cursor, "RAIDAs")?.to_vec();
        let liars = list(&mut cursor, "liars")?.to_vec();
        let coins = coins(&mut cursor)?;
        let proven = match self::coins(&mut cursor)?[..] {
            [] => None,
            [coin] => Some(coin),
            _ => return Err(DecodeError::Mismatch("the proven coin")),
        };
        cursor.finish()?;
        let origin =
            KeyOrigin { domain, cs_id, form, envelopes, raidas, liars, coins, proven, server, tunnel: None };
        Ok(Self { origin: Arc::new(origin), page, from_cache, id, lives_until })
    }

    /// How the secret is wiped at the other end.
    pub(super) fn deletion(&self, farewell: Farewell) -> RemoteDeletion {
        let Farewell { token, proof } = farewell;
        let (server, lives_until) = (self.origin.server.clone(), self.lives_until);
        RemoteDeletion { id: self.id, token, proof, server, lives_until }
    }
}

impl Farewell {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        [self.token.0, self.proof.0].concat()
    }

    /// # Errors
    /// [`DecodeError`].
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let farewell =
            Self { token: ForgetToken(cursor.array("token")?), proof: ForgetProof(cursor.array("proof")?) };
        cursor.finish()?;
        Ok(farewell)
    }
}

/// Appends bytes and, before them, their length.
fn put(to: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
    to.extend(u16::try_from(bytes.len()).ok()?.to_be_bytes());
    to.extend_from_slice(bytes);
    Some(())
}

fn list<'a>(cursor: &mut Cursor<'a>, what: &'static str) -> Result<&'a [u8], DecodeError> {
    let len = cursor.u16(what)?;
    cursor.slice(what, len.into())
}

fn text<'a>(cursor: &mut Cursor<'a>, what: &'static str) -> Result<&'a str, DecodeError> {
    std::str::from_utf8(list(cursor, what)?).map_err(|_| DecodeError::Mismatch(what))
}

fn coins(cursor: &mut Cursor<'_>) -> Result<Vec<CoinId>, DecodeError> {
    let (coins, rest) = list(cursor, "coins")?.as_chunks();
    match rest {
        [] => Ok(coins.iter().map(|coin| CoinId::from_bytes(*coin)).collect()),
        _ => Err(DecodeError::Mismatch("the coins")),
    }
}

fn number<T>(what: &'static str, value: u8, meaning: impl FnOnce(u8) -> Option<T>) -> Result<T, DecodeError> {
    meaning(value).ok_or(DecodeError::BadValue { what, value: value.into() })
}

#[cfg(test)]
mod tests;
