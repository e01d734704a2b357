//! A Content Server's response to a handshake. `docs/protocol.md` section 8: encrypted with an HMAC, or, if no key
//! was agreed, in the clear without one.

use crate::cursor::{Cursor, DecodeError};
use crate::derive::SECRET_LEN;
use crate::tunnel::packet::{self, ClientKeyId, Covered, NONCE_LEN, PacketHeader};
use crate::{Bitmap, Status};

/// Length of a response's payload without its HMAC, in bytes.
pub const PLAIN_LEN: usize = 25;

/// The content of a response. `docs/protocol.md` section 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Response {
    /// 250, 251 or 198; others also 241, 242 or 243.
    pub status: Status,
    /// Random.
    pub server_nonce: [u8; 16],
    /// How long the Content Server keeps the key, in seconds.
    pub lifetime: u32,
    /// The RAIDAs whose shares make the key.
    pub bitmap: Bitmap,
}

/// The payload of a response as received.
#[derive(Debug, PartialEq, Eq)]
pub enum Form {
    /// In the clear: a refusal, because no key was agreed.
    Clear(Response),
    /// Anything of another length: it must open under the key.
    Encrypted,
}

/// Distinguishes the two forms of a response by their length. No packet of data is as short as a response in the
/// clear.
///
/// # Errors
/// [`DecodeError`]: not a response, or one that establishes a key without proving it.
pub fn form(payload: &[u8]) -> Result<Form, DecodeError> {
    if payload.len() != PLAIN_LEN {
        return Ok(Form::Encrypted);
    }
    let response = Response::decode(payload)?;
    if response.is_established() {
        let (what, value) = ("the status of a response in the clear", response.status.0.into());
        return Err(DecodeError::BadValue { what, value });
    }
    Ok(Form::Clear(response))
}

impl Response {
    /// Whether the Content Server has the key and accepts it; all other responses are refusals.
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

    /// The packet of a response under the key.
    pub fn seal(&self, key: &[u8; SECRET_LEN], key_id: ClientKeyId, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        packet::seal_payload(key, key_id, nonce, &[&self.to_bytes()], Covered::HeaderAndPayload)
    }

    /// The packet of a refusal without an agreed key.
    pub fn in_clear(&self, key_id: ClientKeyId, nonce: [u8; NONCE_LEN]) -> Vec<u8> {
        packet::in_clear(key_id, nonce, &self.to_bytes())
    }

    /// Opens an encrypted response in place, whatever its HMAC covers. It belongs to this key only, and the key to
    /// one handshake, so nothing depends on the part that the HMAC may omit.
    ///
    /// # Errors
    /// [`DecodeError`]: not sealed under this key, or not a response. The payload is then garbled.
    pub fn open(
        key: &[u8; SECRET_LEN],
        header: &PacketHeader,
        payload: &mut [u8],
    ) -> Result<Self, DecodeError> {
        let (plain, _) = packet::open_payload(key, header, payload)?;
        Self::decode(plain)
    }
}
