//! A Content Server's answer to a handshake. `docs/protocol.md` section 8: encrypted with an HMAC, or, where no key
//! was agreed, in the clear without one.

use crate::cursor::{Cursor, DecodeError};
use crate::derive::SECRET_LEN;
use crate::tunnel::packet::{self, ClientKeyId, Covered, NONCE_LEN, PacketHeader};
use crate::{Bitmap, Status};

/// Length of an answer's payload without its HMAC, in bytes.
pub const PLAIN_LEN: usize = 25;

/// What an answer says. `docs/protocol.md` section 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// 250, 251 or 198; others also 241, 242 or 243.
    pub status: Status,
    /// Random.
    pub server_nonce: [u8; 16],
    /// How long the Content Server keeps the key, in seconds.
    pub lifetime: u32,
    /// The RAIDAs whose shares make the key.
    pub bitmap: Bitmap,
}

/// The payload of an answer as it came.
#[derive(Debug, PartialEq, Eq)]
pub enum Form {
    /// In the clear: a refusal, because no key was agreed.
    Clear(Answer),
    /// Anything of another length: it opens under the key, or it is nothing.
    Encrypted,
}

/// Tells the two forms of an answer apart by their length. No packet of data is as short as an answer in the clear.
///
/// # Errors
/// [`DecodeError`]: no answer, or one that establishes a key without proof of it.
pub fn form(payload: &[u8]) -> Result<Form, DecodeError> {
    if payload.len() != PLAIN_LEN {
        return Ok(Form::Encrypted);
    }
    let answer = Answer::decode(payload)?;
    if answer.is_established() {
        let (what, value) = ("the status of an answer in the clear", answer.status.0.into());
        return Err(DecodeError::BadValue { what, value });
    }
    Ok(Form::Clear(answer))
}

impl Answer {
    /// Whether the Content Server has the key and takes it; all other answers are refusals.
    pub fn is_established(&self) -> bool {
        matches!(self.status, Status::SUCCESS | Status::TICKETS_GOOD)
    }

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

    /// The packet of an answer under the key.
    pub fn seal(&self, key: &[u8; SECRET_LEN], key_id: ClientKeyId, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        packet::seal_payload(key, key_id, nonce, &[&self.to_bytes()], Covered::HeaderAndPayload)
    }

    /// The packet of a refusal where no key was agreed.
    pub fn in_clear(&self, key_id: ClientKeyId, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        packet::in_clear(key_id, nonce, &self.to_bytes())
    }

    /// Opens an encrypted answer where it lies, whatever its HMAC covers. It is for this key alone, and the key is of one
    /// handshake, so nothing depends on what the HMAC may leave out.
    ///
    /// # Errors
    /// [`DecodeError`]: not sealed under this key, or not an answer. The payload is garbled then.
    pub fn open(
        key: &[u8; SECRET_LEN],
        header: &PacketHeader,
        payload: &mut [u8],
    ) -> Result<Self, DecodeError> {
        let (plain, _) = packet::open_payload(key, header, payload)?;
        Self::decode(plain)
    }
}
