//! The commands of RAIDAs, and the bodies of those of group 15. `docs/protocol.md` section 5.

use rke_secret::Secret;

use crate::challenge::CHALLENGE_LEN;
use crate::cursor::{Cursor, DecodeError};
use crate::derive::{SECRET_LEN, ShareWidth};
use crate::ident::{CSID_LEN, ClientSn, ContentServerId, KeyContext, KeySetId, MAX_TEXT_LEN};
use crate::{Challenge, Envelope, Status};

/// The command group of the RAIDA key exchange.
pub const GROUP: u8 = 15;

/// The command group for the RAIDA's own state, which any client may request.
const STATUS_GROUP: u8 = 0;

/// Length of a RAIDA's version in a response.
pub const VERSION_LEN: usize = 8;

/// Length of the body of a key share request, including the challenge.
pub const SHARE_REQUEST_LEN: usize = CHALLENGE_LEN + CSID_LEN + 1 + 5 + 8;

/// The limit on key sets in one preload: their number is a byte.
pub const MAX_PRELOAD: usize = 255;

/// Length of a key set's number and master secret in a preload.
const ENTRY_LEN: usize = 1 + SECRET_LEN;

const BAD_CS_ID: DecodeError = DecodeError::BadValue { what: "Content Server ID", value: 0 };

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Group 0, 0: whether the RAIDA is up.
    Echo,
    /// Group 0, 1: the version of its program.
    Version,
    /// Group 15, 1: a Content Server gives a RAIDA its master secrets.
    PreloadMasterKey,
    /// Group 15, 2: a share of one byte.
    GetKeyShare,
    /// Group 15, 32: a share of 32 bytes, bound to the coins that ask for it.
    GetWideKeyShare,
    /// Group 15, 33: a Content Server gives a RAIDA its master secrets, with a timestamp, so that a recording cannot
    /// restore older ones.
    PreloadKeySet,
}

impl Command {
    /// The command that two bytes of a header identify.
    pub fn from_wire(group: u8, command: u8) -> Option<Self> {
        match (group, command) {
            (STATUS_GROUP, 0) => Some(Self::Echo),
            (STATUS_GROUP, 1) => Some(Self::Version),
            (GROUP, 1) => Some(Self::PreloadMasterKey),
            (GROUP, 2) => Some(Self::GetKeyShare),
            (GROUP, 32) => Some(Self::GetWideKeyShare),
            (GROUP, 33) => Some(Self::PreloadKeySet),
            _ => None,
        }
    }

    /// Group and command on the wire.
    pub fn to_wire(self) -> (u8, u8) {
        match self {
            Self::Echo => (STATUS_GROUP, 0),
            Self::Version => (STATUS_GROUP, 1),
            Self::PreloadMasterKey => (GROUP, 1),
            Self::GetKeyShare => (GROUP, 2),
            Self::GetWideKeyShare => (GROUP, 32),
            Self::PreloadKeySet => (GROUP, 33),
        }
    }

    /// Whether it is about the RAIDA itself: any client may send it, without a coin, and the node need not remember
    /// it.
    pub fn is_status(self) -> bool {
        matches!(self, Self::Echo | Self::Version)
    }

    /// The command that requests a share of that width.
    pub fn for_share(width: ShareWidth) -> Self {
        match width {
            ShareWidth::Narrow => Self::GetKeyShare,
            ShareWidth::Wide => Self::GetWideKeyShare,
        }
    }

    /// Whether the command may travel in that envelope. In addition, type 0 is for loopback peers only, unless the command
    /// [is about the RAIDA itself](Command::is_status).
    pub fn allows(self, envelope: Envelope) -> bool {
        match envelope {
            Envelope::Type0 => self == Self::GetKeyShare || self.is_status(),
            // A response may have at most a byte of ciphertext: more would share the request's keystream. A version is
            // a known text, and would give the AN away.
            Envelope::Type1(_) => matches!(self, Self::GetKeyShare | Self::Echo),
            Envelope::Type4(_) | Envelope::Type5(..) => true,
        }
    }

    /// Whether the payload of the response begins with the request's challenge.
    pub fn returns_challenge(self) -> bool {
        matches!(self, Self::GetWideKeyShare | Self::PreloadKeySet)
    }

    /// The width of the share that the command requests. `None` if it requests none.
    pub fn share_width(self) -> Option<ShareWidth> {
        match self {
            Self::GetKeyShare => Some(ShareWidth::Narrow),
            Self::GetWideKeyShare => Some(ShareWidth::Wide),
            Self::Echo | Self::Version | Self::PreloadMasterKey | Self::PreloadKeySet => None,
        }
    }

    /// Length of the payload of a response of success.
    pub fn payload_len(self) -> usize {
        let challenge = if self.returns_challenge() { CHALLENGE_LEN } else { 0 };
        match self {
            Self::Version => VERSION_LEN,
            _ => challenge + self.share_width().map_or(0, ShareWidth::share_len),
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
        &[context.key_set.get()],
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
    let key_set = cursor.u8("key set")?;
    let client_sn = ClientSn(cursor.array("client SN")?);
    let timestamp = cursor.u64("timestamp")?;
    cursor.finish()?;
    Ok(KeyContext {
        cs_id: ContentServerId::from_padded(cs_id).ok_or(BAD_CS_ID)?,
        key_set: decode_key_set_id(key_set)?,
        client_sn,
        timestamp,
    })
}

fn decode_key_set_id(value: u8) -> Result<KeySetId, DecodeError> {
    KeySetId::new(value).ok_or(DecodeError::BadValue { what: "key set", value: value.into() })
}

/// Length of the body of a `preload_master_key` for `key_sets` key sets.
pub fn preload_len(cs_id: &ContentServerId, key_sets: usize) -> usize {
    CHALLENGE_LEN + 4 + cs_id.as_str().len() + 1 + key_sets * ENTRY_LEN
}

/// Writes the body of a `preload_master_key`, [`preload_len`] bytes.
/// At most [`MAX_PRELOAD`] key sets.
pub fn write_preload(
    challenge: &Challenge,
    cs_id: &ContentServerId,
    key_sets: &[(KeySetId, &Secret<SECRET_LEN>)],
    body: &mut [u8],
) {
    let name = cs_id.as_str().as_bytes();
    let head: [&[u8]; 3] = [challenge.as_bytes(), &(name.len() as u32).to_be_bytes(), name];
    write_key_sets(key_sets, write_fields(&head, body));
}

/// Length of the body of a `preload_key_set` for `key_sets` key sets.
pub fn key_set_preload_len(key_sets: usize) -> usize {
    CHALLENGE_LEN + CSID_LEN + 8 + 1 + key_sets * ENTRY_LEN
}

/// Writes the body of a `preload_key_set`, [`key_set_preload_len`] bytes; `timestamp` is in Unix seconds.
/// At most [`MAX_PRELOAD`] key sets.
pub fn write_key_set_preload(
    challenge: &Challenge,
    cs_id: &ContentServerId,
    timestamp: u64,
    key_sets: &[(KeySetId, &Secret<SECRET_LEN>)],
    body: &mut [u8],
) {
    let head: [&[u8]; 3] = [challenge.as_bytes(), cs_id.padded(), &timestamp.to_be_bytes()];
    write_key_sets(key_sets, write_fields(&head, body));
}

/// Writes the number of key sets, then each with its master secret.
fn write_key_sets(key_sets: &[(KeySetId, &Secret<SECRET_LEN>)], body: &mut [u8]) {
    let entries = write_fields(&[&[key_sets.len() as u8]], body);
    for ((key_set, master), entry) in key_sets.iter().zip(entries.chunks_exact_mut(ENTRY_LEN)) {
        entry[0] = key_set.get();
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

/// The command that a preload uses. `docs/protocol.md` section 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preloading {
    /// Command 1: adds key sets, for shares of either width, and replaces none.
    Public,
    /// Command 33, made at this time in Unix seconds: replaces the key sets that it lists, which are for wide shares.
    Dated(u64),
}

impl Preloading {
    pub fn command(self) -> Command {
        match self {
            Self::Public => Command::PreloadMasterKey,
            Self::Dated(_) => Command::PreloadKeySet,
        }
    }

    /// Length of the body for this many key sets.
    pub fn body_len(self, cs_id: &ContentServerId, key_sets: usize) -> usize {
        match self {
            Self::Public => preload_len(cs_id, key_sets),
            Self::Dated(_) => key_set_preload_len(key_sets),
        }
    }

    /// Writes the body, [`Preloading::body_len`] bytes. At most [`MAX_PRELOAD`] key sets.
    pub fn write(
        self,
        challenge: &Challenge,
        cs_id: &ContentServerId,
        key_sets: &[(KeySetId, &Secret<SECRET_LEN>)],
        body: &mut [u8],
    ) {
        match self {
            Self::Public => write_preload(challenge, cs_id, key_sets, body),
            Self::Dated(timestamp) => write_key_set_preload(challenge, cs_id, timestamp, key_sets, body),
        }
    }
}

/// A decoded preload; the master secrets stay in place.
pub struct Preload<'a> {
    /// The Content Server that they belong to.
    pub cs_id: ContentServerId,
    entries: &'a [u8],
}

impl<'a> Preload<'a> {
    /// Decodes what follows the challenge of a `preload_master_key`.
    ///
    /// # Errors
    /// [`DecodeError`]: a length, or an invalid ID. Then nothing may be stored.
    pub fn decode(body: &'a [u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(body);
        let name_len = cursor.u32("Content Server ID length")?;
        if !(1..=MAX_TEXT_LEN as u32).contains(&name_len) {
            return Err(DecodeError::BadValue { what: "Content Server ID length", value: name_len.into() });
        }
        let name = cursor.slice("Content Server ID", name_len as usize)?;
        let cs_id = ContentServerId::from_wire_text(name).ok_or(BAD_CS_ID)?;
        Self::decode_key_sets(cs_id, cursor)
    }

    /// Decodes what follows the challenge of a `preload_key_set`: its timestamp, in Unix seconds, and the
    /// preload.
    ///
    /// # Errors
    /// As [`Preload::decode`].
    pub fn decode_with_timestamp(body: &'a [u8]) -> Result<(u64, Self), DecodeError> {
        let mut cursor = Cursor::new(body);
        let cs_id = cursor.array::<CSID_LEN>("Content Server ID")?;
        let cs_id = ContentServerId::from_padded(cs_id).ok_or(BAD_CS_ID)?;
        let timestamp = cursor.u64("timestamp")?;
        Ok((timestamp, Self::decode_key_sets(cs_id, cursor)?))
    }

    /// Decodes the rest, which is the same in both.
    fn decode_key_sets(cs_id: ContentServerId, mut cursor: Cursor<'a>) -> Result<Self, DecodeError> {
        let count = usize::from(cursor.u8("number of key sets")?);
        let entries = cursor.slice("master secrets", count * ENTRY_LEN)?;
        cursor.finish()?;
        if count == 0 {
            return Err(DecodeError::BadValue { what: "number of key sets", value: 0 });
        }
        let preload = Self { cs_id, entries };
        let mut seen = [false; MAX_PRELOAD + 1];
        for (key_set, _) in preload.raw_entries() {
            decode_key_set_id(key_set)?;
            // It is unclear which of the two would count.
            if std::mem::replace(&mut seen[usize::from(key_set)], true) {
                return Err(DecodeError::BadValue { what: "key set", value: key_set.into() });
            }
        }
        Ok(preload)
    }

    fn raw_entries(&self) -> impl Iterator<Item = (u8, &'a [u8; SECRET_LEN])> + use<'a> {
        let entries = self.entries.chunks_exact(ENTRY_LEN);
        entries.filter_map(|entry| {
            let (key_set, master) = entry.split_first()?;
            Some((*key_set, master.first_chunk()?))
        })
    }

    /// The key sets and their master secrets, in the order of the wire.
    pub fn key_sets(&self) -> impl Iterator<Item = (KeySetId, &'a [u8; SECRET_LEN])> + use<'a> {
        self.raw_entries().filter_map(|(key_set, master)| Some((KeySetId::new(key_set)?, master)))
    }
}

/// The status that refuses a body which does not decode.
pub fn refusal(error: DecodeError) -> Status {
    match error {
        DecodeError::TooShort { .. } | DecodeError::Leftover(_) => Status::BAD_LENGTH,
        DecodeError::BadValue { .. } | DecodeError::Mismatch(_) => Status::BAD_PARAMETER,
    }
}
