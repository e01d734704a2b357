//! What an audit log records: the events of the program that keeps it, and what the log says of itself.

use jiff::Timestamp;
use serde::Serialize;

use super::key::ID_LEN;

/// What the events that share a line have in common.
pub type Kind = (&'static str, &'static str);

/// An event of a program. It is serialized as an object with the field `event` first. No event has room for a secret or
/// for the whole id of a session: the id is passed separately, and written as a tag.
pub trait Event: Serialize + Send + 'static {
    /// If others may cause thousands of these: what the events of a second that share a line have in common.
    fn kind_to_collect(&self) -> Option<Kind> {
        None
    }

    /// Makes this event stand for another one of the same kind too.
    fn collect(&mut self, other: Self);

    /// Whether it is the last one, so that what was collected comes before it.
    fn is_last(&self) -> bool {
        false
    }
}

/// What a log says of itself.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Mark {
    /// The first line of a file.
    FileBegun {
        /// The hash of the line before it, in the previous file.
        follows: String,
    },
    /// The last line of a file that was moved away.
    FileEnded,
    /// The line before this one is only the start of a line: the program was killed while writing it, or the disk was full.
    LineTorn {
        /// Its length in bytes.
        bytes: usize,
        /// Its SHA-256.
        sha256: String,
        /// As in [`Mark::FileBegun`], if the torn line is the first of its file.
        #[serde(skip_serializing_if = "Option::is_none")]
        follows: Option<String>,
    },
    /// Events before this one were not written.
    LinesLost {
        /// How many.
        count: u64,
    },
}

/// An event, when it happened, and the session that it happened to.
pub(super) struct Entry<E> {
    pub(super) time: Timestamp,
    pub(super) session: Option<[u8; ID_LEN]>,
    pub(super) event: E,
}

impl<E> Entry<E> {
    /// An event of no session, now.
    pub(super) fn now(event: E) -> Self {
        Self { time: Timestamp::now(), session: None, event }
    }
}
