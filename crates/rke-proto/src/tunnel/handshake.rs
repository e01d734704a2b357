//! The handshake: a nonce that tells the Content Server which key to derive, and a payload that proves that the
//! client has it. `docs/protocol.md` section 8.

use crate::cipher::HMAC_LEN;
use crate::coin::CoinId;
use crate::cursor::{Cursor, DecodeError};
use crate::derive::SECRET_LEN;
use crate::ident::CSID_LEN;
use crate::tunnel::packet::{self, ClientKeyId, Covered, NONCE_LEN, PacketHeader};
use crate::tunnel::{SESSION_IDENTIFIER_LEN, SessionIdentifier};
use crate::{Bitmap, ClientSn, ContentServerId, KeyContext, KeySetId, RAIDA_COUNT};

/// How much of a Content Server ID fits in the nonce.
const CSID_PREFIX_LEN: usize = 6;

const TICKETS_LEN: usize = RAIDA_COUNT * 4;

/// Length of the part before the HMAC, with the 4 zero bytes at its end and without.
const LONG_LEN: usize = SHORT_LEN + 4;
const SHORT_LEN: usize = 5 + 2 + SESSION_IDENTIFIER_LEN + TICKETS_LEN;

/// The content of a handshake's nonce: the shares that the key is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct HandshakeNonce {
    /// The RAIDAs whose shares make the key.
    pub bitmap: Bitmap,
    /// The start of the exchange, in Unix seconds.
    pub timestamp: u64,
    /// The client's number for the exchange.
    pub client_sn: ClientSn,
    pub key_set: KeySetId,
    cs_id_prefix: [u8; CSID_PREFIX_LEN],
}

impl HandshakeNonce {
    /// The nonce for the key that the shares of `bitmap` yield for `context`.
    pub fn new(context: &KeyContext, bitmap: Bitmap) -> Self {
        let mut cs_id_prefix = [0; CSID_PREFIX_LEN];
        cs_id_prefix.copy_from_slice(&context.cs_id.padded()[..CSID_PREFIX_LEN]);
        let KeyContext { key_set, client_sn, timestamp, .. } = *context;
        Self { bitmap, timestamp, client_sn, key_set, cs_id_prefix }
    }

    /// Whether it may refer to this Content Server, of whose ID it holds only the first bytes.
    pub fn matches_id_prefix(&self, cs_id: &ContentServerId) -> bool {
        const { assert!(CSID_PREFIX_LEN <= CSID_LEN) };
        cs_id.padded().starts_with(&self.cs_id_prefix)
    }

    /// The context of the key, if it belongs to this Content Server.
    pub fn context(&self, cs_id: ContentServerId) -> KeyContext {
        KeyContext { cs_id, key_set: self.key_set, client_sn: self.client_sn, timestamp: self.timestamp }
    }

    /// The 24 bytes of the wire.
    pub fn to_bytes(&self) -> [u8; NONCE_LEN] {
        let mut bytes = [0; NONCE_LEN];
        bytes[..4].copy_from_slice(&self.bitmap.to_bytes());
        bytes[4..12].copy_from_slice(&self.timestamp.to_be_bytes());
        bytes[12..17].copy_from_slice(&self.client_sn.0);
        bytes[17] = self.key_set.get();
        bytes[18..].copy_from_slice(&self.cs_id_prefix);
        bytes
    }

    /// Decodes the 24 bytes of the wire.
    ///
    /// # Errors
    /// [`DecodeError::BadValue`] for a RAIDA over 24 or a key set 0.
    pub fn decode(bytes: &[u8; NONCE_LEN]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let bitmap = Bitmap::decode(cursor.array("bitmap")?)?;
        let timestamp = cursor.u64("timestamp")?;
        let client_sn = ClientSn(cursor.array("client SN")?);
        let zero = DecodeError::BadValue { what: "the key set's number", value: 0 };
        let key_set = KeySetId::new(cursor.u8("key set's number")?).ok_or(zero)?;
        let cs_id_prefix = cursor.array("Content Server ID")?;
        cursor.finish()?;
        Ok(Self { bitmap, timestamp, client_sn, key_set, cs_id_prefix })
    }
}

/// The payload of a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Handshake {
    /// The coin that the client names, unproven.
    pub coin: CoinId,
    /// The client's choice for all later packets.
    pub session: SessionIdentifier,
}

impl Handshake {
    /// The packet, in the longer form. Its HMAC covers the payload alone. The counter block repeats for a given key,
    /// so a key serves one handshake: a different `session` or coin under it would reveal the keystream.
    pub fn seal(&self, key: &[u8; SECRET_LEN], key_id: ClientKeyId, nonce: &HandshakeNonce) -> Vec<u8> {
        let mut payload = [0; LONG_LEN];
        payload[..5].copy_from_slice(&self.coin.to_bytes());
        payload[7..15].copy_from_slice(&self.session);
        packet::seal_payload(key, key_id, nonce.to_bytes(), &[&payload], Covered::Payload)
    }

    /// Opens the payload of a handshake without changing it, so that other keys can be tried. Public texts differ in
    /// its length and in whether its HMAC covers the header too: all forms are accepted. Tickets are ignored.
    ///
    /// # Errors
    /// [`DecodeError`]: not sealed under this key, or not a handshake.
    pub fn open(key: &[u8; SECRET_LEN], header: &PacketHeader, payload: &[u8]) -> Result<Self, DecodeError> {
        let mut copy = [0; LONG_LEN + HMAC_LEN];
        let leftover = DecodeError::Leftover(payload.len().saturating_sub(copy.len()));
        let copy = copy.get_mut(..payload.len()).ok_or(leftover)?;
        copy.copy_from_slice(payload);
        let (plain, _) = packet::open_payload(key, header, copy)?;
        Self::decode(plain)
    }

    fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(payload);
        let coin = CoinId::from_bytes(cursor.array("coin")?);
        cursor.slice("zeros", 2)?;
        let session = cursor.array("session identifier")?;
        cursor.slice("tickets", TICKETS_LEN)?;
        if payload.len() != SHORT_LEN {
            cursor.slice("zeros", LONG_LEN - SHORT_LEN)?;
        }
        cursor.finish()?;
        Ok(Self { coin, session })
    }
}
