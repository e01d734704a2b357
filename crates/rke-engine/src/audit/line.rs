//! A line of the audit log: a JSON object whose last two fields chain it to the line before. `hash` is
//! SHA-256 over that line's hash and this line's bytes up to `,"hash"`; `seal` shows whose hash it is.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event::{Entry, Event};
use super::key::{AuditKey, SEAL_LEN};

const HASH_LEN: usize = 32;
const BEFORE_HASH: &[u8] = br#","hash":""#;
const BEFORE_SEAL: &[u8] = br#"","seal":""#;
const AFTER_SEAL: &[u8] = br#""}"#;
const END_LEN: usize = BEFORE_HASH.len() + 2 * HASH_LEN + BEFORE_SEAL.len() + 2 * SEAL_LEN + AFTER_SEAL.len();

/// Where a chain of lines has come to. The default is before its first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The number of the last line.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; HASH_LEN],
}

impl Position {
    /// Where a line of these bytes takes the chain.
    fn after(&self, body: &[u8]) -> Self {
        let hash = Sha256::new().chain_update(self.hash).chain_update(body).finalize();
        Self { number: self.number + 1, hash: hash.into() }
    }
}

#[derive(Serialize)]
struct Fields<'a> {
    n: u64,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(flatten)]
    event: &'a Event,
}

/// The line for an event that follows `last`, and where it takes the chain.
pub(super) fn write(key: &AuditKey, last: &Position, entry: &Entry) -> io::Result<(String, Position)> {
    let Entry { time, session, event } = entry;
    let session = session.map(|id| key.tag(id));
    let fields = Fields { n: last.number + 1, time: format!("{time:.3}"), session, event };
    let mut text = serde_json::to_string(&fields)?;
    text.pop();
    let at = last.after(text.as_bytes());
    let (hash, seal) = (hex::encode(at.hash), hex::encode(key.seal(&at)));
    text += &format!(",\"hash\":\"{hash}\",\"seal\":\"{seal}\"}}\n");
    Ok((text, at))
}

/// What a reader needs of a line.
#[derive(Deserialize)]
struct Start {
    n: u64,
    event: String,
    follows: Option<String>,
    bytes: Option<usize>,
    sha256: Option<String>,
}

/// A line as it was read, well formed but not checked.
pub(super) struct Line {
    body: Vec<u8>,
    start: Start,
    /// Where it says that it takes the chain.
    pub(super) at: Position,
    seal: [u8; SEAL_LEN],
}

impl Line {
    /// A line without the line feed. `None` where it does not look like one.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (body, end) = text.split_at_checked(text.len().checked_sub(END_LEN)?)?;
        let (hash_hex, end) = end.strip_prefix(BEFORE_HASH)?.split_at_checked(2 * HASH_LEN)?;
        let seal_hex = end.strip_prefix(BEFORE_SEAL)?.strip_suffix(AFTER_SEAL)?;
        let (mut hash, mut seal) = ([0; HASH_LEN], [0; SEAL_LEN]);
        hex::decode_to_slice(hash_hex, &mut hash).ok()?;
        hex::decode_to_slice(seal_hex, &mut seal).ok()?;
        let start: Start = serde_json::from_slice(&[body, b"}"].concat()).ok()?;
        let at = Position { number: start.n, hash };
        Some(Self { body: body.into(), start, at, seal })
    }

    /// Whether the holder of the key has written its hash, whatever may have become of the rest.
    pub(super) fn is_sealed_with(&self, key: &AuditKey) -> bool {
        key.seal(&self.at) == self.seal
    }

    /// Whether its hash fits its bytes, after a line with this hash.
    pub(super) fn fits_after(&self, hash: [u8; HASH_LEN]) -> bool {
        Position { number: 0, hash }.after(&self.body).hash == self.at.hash
    }

    /// Where it is the first of a file: the hash of the line before it, in the file before.
    pub(super) fn begins_file_after(&self) -> Option<[u8; HASH_LEN]> {
        let mut hash = [0; HASH_LEN];
        hex::decode_to_slice(self.start.follows.as_ref()?, &mut hash).ok()?;
        matches!(self.start.event.as_str(), "file_begun" | "line_torn").then_some(hash)
    }

    /// Whether it is the last of a file that was moved away.
    pub(super) fn ends_file(&self) -> bool {
        self.start.event == "file_ended"
    }

    /// Whether it says that the line before it is torn.
    pub(super) fn tells_of_torn_line(&self) -> bool {
        self.start.event == "line_torn"
    }

    /// Whether these bytes are the torn line that it tells of.
    pub(super) fn tells_of(&self, torn: &[u8]) -> bool {
        self.tells_of_torn_line()
            && self.start.bytes == Some(torn.len())
            && self.start.sha256.as_ref().is_some_and(|hash| *hash == sha256_hex(torn))
    }
}

/// SHA-256 in hex.
pub(super) fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
