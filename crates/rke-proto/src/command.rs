//! The commands of group 15 and their bodies. `docs/protocol.md` section 5.

use rke_secret::Secret;

use crate::challenge::CHALLENGE_LEN;
use crate::cursor::{Cursor, DecodeError};
use crate::derive::{SECRET_LEN, ShareWidth};
use crate::ident::{CSID_LEN, ClientSn, ContentServerId, KeyContext, KeyId};
use crate::{Challenge, Envelope, Status};

/// The command group of the RAIDA key exchange.
pub const GROUP: u8 = 15;

/// Length of the body of a key share request, the challenge included.
pub const SHARE_REQUEST_LEN: usize = CHALLENGE_LEN + CSID_LEN + 1 + 5 + 8;

/// Most key sets that one `preload_master_key` carries: their number is a byte.
pub const MAX_PRELOAD: usize = 255;

/// A command of group 15.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// 1: a Content Server gives a RAIDA its master secrets.
    PreloadMasterKey,
    /// 2: a share of one byte.
    GetKeyShare,
    /// 32: a share of 32 bytes.
    GetWideKeyShare,
}

impl Command {
    /// The command that two bytes of a header name.
    pub fn from_wire(group: u8, command: u8) -> Option<Self> {
        match (group, command) {
            (GROUP, 1) => Some(Self::PreloadMasterKey),
            (GROUP, 2) => Some(Self::GetKeyShare),
            (GROUP, 32) => Some(Self::GetWideKeyShare),
            _ => None,
        }
    }

    /// Group and command as they stand in a header.
    pub fn to_wire(self) -> (u8, u8) {
        let command = match self {
            Self::PreloadMasterKey => 1,
            Self::GetKeyShare => 2,
            Self::GetWideKeyShare => 32,
        };
        (GROUP, command)
    }

    /// The command that asks for a share of that width.
    pub fn for_share(width: ShareWidth) -> Self {
        match width {
            ShareWidth::Narrow => Self::GetKeyShare,
            ShareWidth::Wide => Self::GetWideKeyShare,
        }
    }

    /// Whether the command may travel in that envelope. Type 0 is for loopback peers besides.
    pub fn allows(self, envelope: Envelope) -> bool {
        match envelope {
            Envelope::Type0 => self == Self::GetKeyShare,
            Envelope::Type1(_) => self != Self::GetWideKeyShare,
            Envelope::Type4(_) | Envelope::Type5(..) => true,
        }
    }
}

/// The challenge at the start of a body, and the rest.
///
/// # Errors
/// [`Status::BAD_LENGTH`] or [`Status::BAD_CHALLENGE`].
pub fn split_challenge(body: &[u8]) -> Result<(Challenge, &[u8]), Status> {
    let (bytes, rest) = body.split_first_chunk::<CHALLENGE_LEN>().ok_or(Status::BAD_LENGTH)?;
    let challenge = Challenge::decode(*bytes).map_err(|_| Status::BAD_CHALLENGE)?;
    Ok((challenge, rest))
}

/// Writes the body of a key share request, [`SHARE_REQUEST_LEN`] bytes.
pub fn write_share_request(challenge: &Challenge, context: &KeyContext, body: &mut [u8]) {
    let fields: [&[u8]; 5] = [
        challenge.as_bytes(),
        context.cs_id.padded(),
        &[context.key_id.get()],
        &context.client_sn.0,
        &context.timestamp.to_be_bytes(),
    ];
    write_fields(&fields, body);
}

/// Decodes what follows the challenge of a key share request.
///
/// # Errors
/// [`DecodeError`]: a length, or an ID that cannot be.
pub fn decode_share_request(body: &[u8]) -> Result<KeyContext, DecodeError> {
    let mut cursor = Cursor::new(body);
    let cs_id = cursor.array::<CSID_LEN>("Content Server ID")?;
    let key_id = cursor.u8("key id")?;
    let client_sn = ClientSn(cursor.array("client SN")?);
    let timestamp = cursor.u64("timestamp")?;
    cursor.finish()?;
    Ok(KeyContext {
        cs_id: ContentServerId::from_padded(cs_id)
            .ok_or(DecodeError::BadValue { what: "Content Server ID", value: 0 })?,
        key_id: decode_key_id(key_id)?,
        client_sn,
        timestamp,
    })
}

fn decode_key_id(value: u8) -> Result<KeyId, DecodeError> {
    KeyId::new(value).ok_or(DecodeError::BadValue { what: "key id", value: value.into() })
}

/// Length of the body of a `preload_master_key` for `key_sets` key sets.
pub fn preload_len(cs_id: &ContentServerId, key_sets: usize) -> usize {
    CHALLENGE_LEN + 4 + cs_id.wire_text().len() + 1 + key_sets * (1 + SECRET_LEN)
}

/// Writes the body of a `preload_master_key`, [`preload_len`] bytes.
/// At most [`MAX_PRELOAD`] key sets.
pub fn write_preload(
    challenge: &Challenge,
    cs_id: &ContentServerId,
    key_sets: &[(KeyId, &Secret<SECRET_LEN>)],
    body: &mut [u8],
) {
    let name = cs_id.wire_text();
    let head: [&[u8]; 4] =
        [challenge.as_bytes(), &(name.len() as u32).to_be_bytes(), name, &[key_sets.len() as u8]];
    let entries = write_fields(&head, body);
    for ((key_id, master), entry) in key_sets.iter().zip(entries.chunks_exact_mut(1 + SECRET_LEN)) {
        entry[0] = key_id.get();
        master.expose(|master| entry[1..].copy_from_slice(master));
    }
}

/// Writes one field after the other and gives what is left of `out`.
fn write_fields<'a>(fields: &[&[u8]], mut out: &'a mut [u8]) -> &'a mut [u8] {
    for field in fields {
        let (here, rest) = out.split_at_mut(field.len());
        here.copy_from_slice(field);
        out = rest;
    }
    out
}

/// A decoded `preload_master_key`; the master secrets stay where they lie.
pub struct Preload<'a> {
    /// Whose master secrets they are.
    pub cs_id: ContentServerId,
    entries: &'a [u8],
}

impl<'a> Preload<'a> {
    /// Decodes what follows the challenge.
    ///
    /// # Errors
    /// [`DecodeError`]: a length, or an ID that cannot be. Then nothing is to be kept.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(body);
        let name_len = cursor.u32("Content Server ID length")?;
        if !(1..=CSID_LEN as u32).contains(&name_len) {
            return Err(DecodeError::BadValue { what: "Content Server ID length", value: name_len.into() });
        }
        let name = cursor.slice("Content Server ID", name_len as usize)?;
        let cs_id = ContentServerId::from_wire_text(name);
        let cs_id = cs_id.ok_or(DecodeError::BadValue { what: "Content Server ID", value: 0 })?;
        let count = usize::from(cursor.u8("number of key sets")?);
        let entries = cursor.slice("master secrets", count * (1 + SECRET_LEN))?;
        cursor.finish()?;
        if count == 0 {
            return Err(DecodeError::BadValue { what: "number of key sets", value: 0 });
        }
        let preload = Self { cs_id, entries };
        preload.raw_entries().try_for_each(|(key_id, _)| decode_key_id(key_id).map(drop))?;
        Ok(preload)
    }

    fn raw_entries(&self) -> impl Iterator<Item = (u8, &'a [u8; SECRET_LEN])> + use<'a> {
        let entries = self.entries.chunks_exact(1 + SECRET_LEN);
        entries.filter_map(|entry| {
            let (key_id, master) = entry.split_first()?;
            Some((*key_id, master.first_chunk()?))
        })
    }

    /// The key sets and their master secrets, in the order of the wire.
    pub fn key_sets(&self) -> impl Iterator<Item = (KeyId, &'a [u8; SECRET_LEN])> + use<'a> {
        self.raw_entries().filter_map(|(key_id, master)| Some((KeyId::new(key_id)?, master)))
    }
}

/// The status that a body which does not decode is refused with.
pub fn refusal(error: DecodeError) -> Status {
    match error {
        DecodeError::TooShort { .. } | DecodeError::Leftover(_) => Status::BAD_LENGTH,
        DecodeError::BadValue { .. } | DecodeError::Mismatch(_) => Status::BAD_PARAMETER,
    }
}
