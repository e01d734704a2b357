//! A Content Server's answer to a handshake or a share check. `docs/protocol.md` sections 7.3 and
//! 7.4: encrypted with an HMAC, in clear with an HMAC, or in clear without where there is no key.

use crate::cipher::{HMAC_LEN, hmac, hmac_matches};
use crate::cursor::{Cursor, DecodeError};
use crate::derive::SECRET_LEN;
use crate::tunnel::packet::{self, ClientKeyId, Covered, NONCE_LEN, PacketHeader};
use crate::{Bitmap, Status};

/// Length of an answer's payload without its HMAC.
pub const PLAIN_LEN: usize = 25;

/// What an answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// 250, 251 or 198.
    pub status: Status,
    /// Random.
    pub server_nonce: [u8; 16],
    /// How long the Content Server keeps the key, in seconds.
    pub lifetime: u32,
    /// The RAIDAs whose shares make the key, or, after a share check, whose tags match.
    pub bitmap: Bitmap,
}

/// The payload of an answer as it came.
#[derive(Debug, PartialEq, Eq)]
pub enum Form<'a> {
    /// In clear: the Content Server has no common key with the client, or this is the answer to a
    /// share check. The HMAC is there where it could be made.
    Clear(Answer, Option<&'a [u8; HMAC_LEN]>),
    /// The right length for an encrypted answer.
    Encrypted,
}

/// Tells the forms of an answer apart by length; `expects_clear` decides between the two long ones.
///
/// # Errors
/// [`DecodeError`].
pub fn form(payload: &[u8], long: LongForm) -> Result<Form<'_>, DecodeError> {
    match (payload.len(), long) {
        (PLAIN_LEN, _) => Ok(Form::Clear(Answer::decode(payload)?, None)),
        (_, LongForm::Clear) => {
            let short = DecodeError::TooShort { what: "answer", needed: HMAC_LEN, left: payload.len() };
            let (plain, tag) = payload.split_last_chunk().ok_or(short)?;
            Ok(Form::Clear(Answer::decode(plain)?, Some(tag)))
        }
        (_, LongForm::Encrypted) => Ok(Form::Encrypted),
    }
}

/// Which form an answer with an HMAC has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LongForm {
    /// To a share check.
    Clear,
    /// To a handshake.
    Encrypted,
}

impl Answer {
    fn to_bytes(self) -> [u8; PLAIN_LEN] {
        let mut bytes = [0; PLAIN_LEN];
        bytes[0] = self.status.0;
        bytes[1..17].copy_from_slice(&self.server_nonce);
        bytes[17..21].copy_from_slice(&self.lifetime.to_be_bytes());
        bytes[21..].copy_from_slice(&self.bitmap.to_bytes());
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let status = Status(cursor.u8("status")?);
        let server_nonce = cursor.array("server nonce")?;
        let lifetime = cursor.u32("lifetime")?;
        let bitmap = Bitmap::decode(cursor.array("bitmap")?)?;
        cursor.finish()?;
        Ok(Self { status, server_nonce, lifetime, bitmap })
    }

    /// The packet of an answer under the key, to a handshake.
    pub fn seal(&self, key: &[u8; SECRET_LEN], key_id: ClientKeyId, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        packet::seal_payload(key, key_id, nonce, &[&self.to_bytes()], Covered::HeaderAndPayload)
    }

    /// The packet of an answer where there is no common key.
    pub fn in_clear(&self, key_id: ClientKeyId, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        packet::in_clear(key_id, nonce, &self.to_bytes())
    }

    /// The packet of the answer to a share check that found enough: in clear, with an HMAC under the
    /// key that the shares of its bitmap give.
    pub fn in_clear_with_hmac(&self, key: &[u8; SECRET_LEN], nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        let (key_id, plain) = (ClientKeyId::SHARE_CHECK, self.to_bytes());
        let header = PacketHeader { payload_len: (PLAIN_LEN + HMAC_LEN) as u16, key_id, nonce };
        let tag = hmac(key, &[&header.to_bytes(), &plain]);
        packet::in_clear(key_id, nonce, &[plain.as_slice(), &tag].concat())
    }

    /// Opens an encrypted answer.
    ///
    /// # Errors
    /// [`DecodeError`]: not sealed under this key.
    pub fn open(
        key: &[u8; SECRET_LEN],
        header: &PacketHeader,
        payload: &mut [u8],
    ) -> Result<Self, DecodeError> {
        let plain = packet::open_payload(key, header, payload, Covered::HeaderAndPayload)?;
        Self::decode(plain)
    }

    /// Whether `tag` is the HMAC of this answer, in clear, under the key.
    pub fn matches(&self, key: &[u8; SECRET_LEN], header: &PacketHeader, tag: &[u8; HMAC_LEN]) -> bool {
        hmac_matches(key, &[&header.to_bytes(), &self.to_bytes()], tag)
    }
}
