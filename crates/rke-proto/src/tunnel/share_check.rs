//! The share check: which of the shares that a client got are not the Content Server's.
//! `docs/protocol.md` section 7.4. It travels in clear: a short tag of a 32-byte share tells nothing.

use rke_secret::Secret;
use subtle::ConstantTimeEq;

use crate::cipher::hmac;
use crate::cursor::{Cursor, DecodeError};
use crate::derive::SECRET_LEN;
use crate::tunnel::HandshakeNonce;
use crate::tunnel::packet::{self, ClientKeyId, HEADER_LEN, PacketHeader};
use crate::{Bitmap, RAIDA_COUNT, RaidaIndex};

const MAGIC: &[u8; 8] = b"RKESHARE";
const TAG_LEN: usize = 4;
const PAYLOAD_LEN: usize = MAGIC.len() + RAIDA_COUNT * TAG_LEN;

/// The tag of one share.
pub type Tag = [u8; TAG_LEN];

/// The tags of the shares of a handshake's bitmap; zeros for the other RAIDAs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShareCheck {
    tags: [Tag; RAIDA_COUNT],
}

/// The tag of a share in a packet with this header.
fn tag(share: &[u8; SECRET_LEN], header: &[u8; HEADER_LEN]) -> Tag {
    *hmac(share, &[b"RKE-ShareTag", header])
        .first_chunk()
        .unwrap_or_else(|| unreachable!("an HMAC is longer than a tag"))
}

fn header(nonce: &HandshakeNonce) -> PacketHeader {
    let (key_id, nonce) = (ClientKeyId::SHARE_CHECK, nonce.to_bytes());
    PacketHeader { payload_len: PAYLOAD_LEN as u16, key_id, nonce }
}

/// The packet that asks about these shares, those of the handshake's bitmap.
pub fn ask<'a>(
    nonce: &HandshakeNonce,
    shares: impl Iterator<Item = (RaidaIndex, &'a Secret<SECRET_LEN>)>,
) -> Vec<u8> {
    let header = header(nonce);
    let mut payload = [0; PAYLOAD_LEN];
    payload[..MAGIC.len()].copy_from_slice(MAGIC);
    let (tags, _) = payload[MAGIC.len()..].as_chunks_mut::<TAG_LEN>();
    for (raida, share) in shares {
        tags[raida.position()] = share.expose(|share| tag(share, &header.to_bytes()));
    }
    packet::in_clear(header.key_id, header.nonce, &payload)
}

impl ShareCheck {
    /// Decodes the payload.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(payload);
        if cursor.array("magic")? != *MAGIC {
            return Err(DecodeError::Mismatch("the magic of a share check"));
        }
        let mut tags = [[0; TAG_LEN]; RAIDA_COUNT];
        for tag in &mut tags {
            *tag = cursor.array("tag")?;
        }
        cursor.finish()?;
        Ok(Self { tags })
    }

    /// Which of the true shares the tags belong to.
    pub fn matching<'a>(
        &self,
        nonce: &HandshakeNonce,
        true_shares: impl Iterator<Item = (RaidaIndex, &'a Secret<SECRET_LEN>)>,
    ) -> Bitmap {
        let header = header(nonce).to_bytes();
        let matching = true_shares.filter(|(raida, share)| {
            let own = share.expose(|share| tag(share, &header));
            own.ct_eq(&self.tags[raida.position()]).into()
        });
        matching.map(|(raida, _)| raida).collect()
    }
}
