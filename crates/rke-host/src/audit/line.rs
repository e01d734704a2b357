//! A line of the audit log: a JSON object whose last two fields chain it to the line before. `hash` is SHA-256 over
//! that line's hash and this line's bytes up to `,"hash"`; `seal` proves that the hash was made with the key.

use std::io;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event::Entry;
use super::key::{AuditKey, AuditTags, SEAL_LEN};
use super::position::{HASH_LEN, Position};

const BEFORE_HASH: &[u8] = br#","hash":""#;
const BEFORE_SEAL: &[u8] = br#"","seal":""#;
const AFTER_SEAL: &[u8] = br#""}"#;
const END_LEN: usize = BEFORE_HASH.len() + 2 * HASH_LEN + BEFORE_SEAL.len() + 2 * SEAL_LEN + AFTER_SEAL.len();

#[derive(Serialize)]
struct Fields<'a, E> {
    n: u64,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<String>,
    #[serde(flatten)]
    event: &'a E,
}

/// The line for an event that follows `last`, and the position after it.
pub(super) fn write<E: Serialize>(
    (key, tags): (&AuditKey, &AuditTags),
    last: &Position,
    entry: &Entry<E>,
) -> io::Result<(String, Position)> {
    let Entry { time, session, event } = entry;
    let session = session.as_ref().map(|id| tags.tag(id));
    let fields = Fields { n: last.number + 1, time: format!("{time:.3}"), session, event };
    let mut text = serde_json::to_string(&fields)?;
    text.pop();
    let at = last.after(text.as_bytes());
    let (hash, seal) = (hex::encode(at.hash), hex::encode(key.line_mac(&at)));
    text += &format!(",\"hash\":\"{hash}\",\"seal\":\"{seal}\"}}\n");
    Ok((text, at))
}

/// The fields that a reader needs.
#[derive(Deserialize)]
struct Start {
    n: u64,
    event: String,
    follows: Option<String>,
    bytes: Option<usize>,
    count: Option<u64>,
    sha256: Option<String>,
}

/// A line that was read. It is well formed, but not checked.
pub(super) struct Line {
    body: Vec<u8>,
    start: Start,
    /// The position that the line claims.
    pub(super) at: Position,
    seal: [u8; SEAL_LEN],
}

impl Line {
    /// Parses a line without its line feed. `None` if it is malformed.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let (body, end) = text.split_at_checked(text.len().checked_sub(END_LEN)?)?;
        let (hash_hex, end) = end.strip_prefix(BEFORE_HASH)?.split_at_checked(2 * HASH_LEN)?;
        let seal_hex = end.strip_prefix(BEFORE_SEAL)?.strip_suffix(AFTER_SEAL)?;
        let (mut hash, mut seal) = ([0; HASH_LEN], [0; SEAL_LEN]);
        hex::decode_to_slice(hash_hex, &mut hash).ok()?;
        hex::decode_to_slice(seal_hex, &mut seal).ok()?;
        // The next line's hash covers the values of these digits, so they must have only one spelling.
        if [hash_hex, seal_hex].concat().iter().any(u8::is_ascii_uppercase) {
            return None;
        }
        let start: Start = serde_json::from_slice(&[body, b"}"].concat()).ok()?;
        let at = Position { number: start.n, hash };
        Some(Self { body: body.into(), start, at, seal })
    }

    /// Whether its hash was sealed with the key. The rest of the line may still have been changed.
    pub(super) fn is_sealed_with(&self, key: &AuditKey) -> bool {
        key.line_mac(&self.at) == self.seal
    }

    /// Whether its hash matches its bytes, after a line with this hash.
    pub(super) fn fits_after(&self, hash: [u8; HASH_LEN]) -> bool {
        Position { number: 0, hash }.after(&self.body).hash == self.at.hash
    }

    /// If it is the first line of a file: the hash of the line before it, in the previous file.
    pub(super) fn begins_file_after(&self) -> Option<[u8; HASH_LEN]> {
        let mut hash = [0; HASH_LEN];
        hex::decode_to_slice(self.start.follows.as_ref()?, &mut hash).ok()?;
        matches!(self.start.event.as_str(), "file_begun" | "line_torn").then_some(hash)
    }

    /// Whether it is the last line of a file that was moved away.
    pub(super) fn ends_file(&self) -> bool {
        self.start.event == "file_ended"
    }

    /// How many events before it have no line, according to it.
    pub(super) fn lost(&self) -> u64 {
        self.start.count.filter(|_| self.start.event == "lines_lost").unwrap_or(0)
    }

    /// Whether it reports that the line before it is torn.
    pub(super) fn tells_of_torn_line(&self) -> bool {
        self.start.event == "line_torn"
    }

    /// Whether these bytes are the torn line that it reports.
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
