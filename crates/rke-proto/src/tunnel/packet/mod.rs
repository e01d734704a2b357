//! One packet of envelope type 6: header, encrypted payload, trailer. `docs/protocol.md` section 8.
//! This module seals and opens packets of data; the modules for handshake and response use its parts.

use crate::cipher::{BLOCK_LEN, HMAC_LEN, aes256_ctr, hmac_matches, hmac_sha256};
use crate::cursor::{Cursor, DecodeError};
use crate::derive::SECRET_LEN;
use crate::tunnel::{SESSION_IDENTIFIER_LEN, SessionIdentifier};

/// Length of a packet's header.
pub const HEADER_LEN: usize = 32;

/// Length of a packet's nonce.
pub const NONCE_LEN: usize = 24;

/// The end of every packet.
pub const TRAILER: [u8; 2] = [0xE3, 0xE3];

/// The limit on data in one packet: the 16-bit length also covers identifier and HMAC.
pub const MAX_DATA_LEN: usize = u16::MAX as usize - SESSION_IDENTIFIER_LEN - HMAC_LEN;

/// The first byte of every packet. No packet of handshake 3 begins with it, so both share a port.
pub const TYPE: u8 = 6;

/// Five random bytes that identify a client's key to the Content Server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientKeyId(pub [u8; 5]);

/// The header of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PacketHeader {
    /// Length of the payload alone, in bytes.
    pub payload_len: u16,
    /// The key that it is under.
    pub key_id: ClientKeyId,
    /// Random, except in a handshake.
    pub nonce: [u8; NONCE_LEN],
}

impl PacketHeader {
    /// Decodes the first 32 bytes of a packet.
    ///
    /// # Errors
    /// [`DecodeError::BadValue`] for a type other than 6.
    pub fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let value = cursor.u8("packet type")?;
        if value != TYPE {
            return Err(DecodeError::BadValue { what: "the packet type", value: value.into() });
        }
        let payload_len = cursor.u16("payload length")?;
        let (key_id, nonce) = (ClientKeyId(cursor.array("key id")?), cursor.array("nonce")?);
        Ok(Self { payload_len, key_id, nonce })
    }

    /// The 32 bytes of the wire.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[0] = TYPE;
        bytes[1..3].copy_from_slice(&self.payload_len.to_be_bytes());
        bytes[3..8].copy_from_slice(&self.key_id.0);
        bytes[8..].copy_from_slice(&self.nonce);
        bytes
    }

    /// Length of the part after the header: payload and trailer.
    pub fn rest_len(&self) -> usize {
        usize::from(self.payload_len) + TRAILER.len()
    }

    /// CTR's first counter block.
    pub(crate) fn counter_block(&self) -> &[u8; BLOCK_LEN] {
        self.nonce.first_chunk().unwrap_or_else(|| unreachable!("a nonce is longer than a block"))
    }
}

/// Splits a whole packet into its header and its payload, in place.
///
/// # Errors
/// [`DecodeError`]: cut short, bytes left over, another type, another trailer.
pub fn split(packet: &mut [u8]) -> Result<(PacketHeader, &mut [u8]), DecodeError> {
    let left = packet.len();
    let short = DecodeError::TooShort { what: "packet", needed: HEADER_LEN, left };
    let (header, rest) = packet.split_first_chunk_mut::<HEADER_LEN>().ok_or(short)?;
    let header = PacketHeader::decode(header)?;
    let left = rest.len();
    let short = DecodeError::TooShort { what: "payload and trailer", needed: header.rest_len(), left };
    let (payload, trailer) = rest.split_at_mut_checked(header.payload_len.into()).ok_or(short)?;
    match trailer {
        trailer if *trailer == TRAILER => Ok((header, payload)),
        trailer if trailer.len() < TRAILER.len() => Err(short),
        [first, second, more @ ..] if [*first, *second] == TRAILER => Err(DecodeError::Leftover(more.len())),
        _ => Err(DecodeError::Mismatch("the packet's trailer")),
    }
}

/// A packet with an unencrypted payload: a response without an agreed key.
pub(crate) fn in_clear(key_id: ClientKeyId, nonce: [u8; NONCE_LEN], payload: &[u8]) -> Vec<u8> {
    let header = PacketHeader { payload_len: payload.len() as u16, key_id, nonce };
    [&header.to_bytes(), payload, &TRAILER].concat()
}

/// What the HMAC at the end of a payload covers. Public texts have both forms: `docs/protocol.md` section 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Covered {
    /// The payload before it.
    Payload,
    /// The packet's header and the payload before it. A client sends its data in this form.
    #[default]
    HeaderAndPayload,
}

impl Covered {
    fn header(self, header: &[u8; HEADER_LEN]) -> &[u8] {
        match self {
            Self::Payload => &[],
            Self::HeaderAndPayload => header,
        }
    }
}

/// A packet with this payload and an HMAC after it, both encrypted. The payload is at most [`MAX_DATA_LEN`] and an
/// identifier long.
pub(crate) fn seal_payload(
    key: &[u8; SECRET_LEN],
    key_id: ClientKeyId,
    nonce: [u8; NONCE_LEN],
    payload: &[&[u8]],
    covered: Covered,
) -> Vec<u8> {
    let len: usize = payload.iter().map(|part| part.len()).sum();
    let header = PacketHeader { payload_len: (len + HMAC_LEN) as u16, key_id, nonce };
    let mut packet = Vec::with_capacity(HEADER_LEN + header.rest_len());
    packet.extend(header.to_bytes());
    payload.iter().for_each(|part| packet.extend(*part));
    let tag = hmac_sha256(key, &[covered.header(&header.to_bytes()), &packet[HEADER_LEN..]]);
    packet.extend(tag);
    aes256_ctr(key, header.counter_block(), &mut packet[HEADER_LEN..]);
    packet.extend(TRAILER);
    packet
}

/// Decrypts a payload in place and returns the part before its HMAC, once that is verified, and what the HMAC covers.
///
/// # Errors
/// [`DecodeError`]; the payload is then garbled.
pub(crate) fn open_payload<'a>(
    key: &[u8; SECRET_LEN],
    header: &PacketHeader,
    payload: &'a mut [u8],
) -> Result<(&'a mut [u8], Covered), DecodeError> {
    aes256_ctr(key, header.counter_block(), payload);
    let left = payload.len();
    let short = DecodeError::TooShort { what: "HMAC", needed: HMAC_LEN, left };
    let (before, tag) = payload.split_last_chunk_mut::<HMAC_LEN>().ok_or(short)?;
    let matches = |covered: &Covered| hmac_matches(key, &[covered.header(&header.to_bytes()), before], tag);
    let covered = [Covered::HeaderAndPayload, Covered::Payload].into_iter().find(matches);
    let covered = covered.ok_or(DecodeError::Mismatch("the HMAC"))?;
    Ok((before, covered))
}

/// A packet of data under a random nonce: `docs/protocol.md` section 8. `data` is at most [`MAX_DATA_LEN`] bytes. A
/// client uses [`Covered::HeaderAndPayload`], a server the form of the client's last packet.
///
/// # Errors
/// [`DecodeError::BadValue`] for more data than that.
pub fn seal_data(
    key: &[u8; SECRET_LEN],
    key_id: ClientKeyId,
    session: &SessionIdentifier,
    nonce: [u8; NONCE_LEN],
    data: &[u8],
    covered: Covered,
) -> Result<Vec<u8>, DecodeError> {
    if data.len() > MAX_DATA_LEN {
        return Err(DecodeError::BadValue { what: "the length of the data", value: data.len() as u64 });
    }
    Ok(seal_payload(key, key_id, nonce, &[session, data], covered))
}

/// Opens the payload of a packet of data in place, and returns the data and what its HMAC covers. If that is the
/// payload alone, the header's key id and the last 8 bytes of its nonce are unauthenticated. `docs/protocol.md`
/// section 8.
///
/// # Errors
/// [`DecodeError`]: not sealed under this key, or of another session. The payload is then garbled.
pub fn open_data<'a>(
    key: &[u8; SECRET_LEN],
    header: &PacketHeader,
    session: &SessionIdentifier,
    payload: &'a mut [u8],
) -> Result<(&'a mut [u8], Covered), DecodeError> {
    let (opened, covered) = open_payload(key, header, payload)?;
    match opened.split_first_chunk_mut::<SESSION_IDENTIFIER_LEN>() {
        Some((found, data)) if found == session => Ok((data, covered)),
        _ => Err(DecodeError::Mismatch("the session identifier")),
    }
}

#[cfg(test)]
mod tests;
