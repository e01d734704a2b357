//! The records after a handshake, in both directions: data, its end, or an abort. `docs/protocol.md` section 7,
//! "Records". A direction that closes without an end is cut, and a cut never counts as an end.

use std::fmt;

use super::noise::{CipherState, TAG_LEN};
use crate::cursor::DecodeError;

/// Most bytes of data in one record.
pub const MAX_DATA_LEN: usize = 16_384;

/// Length of the field before a record.
pub const LEN_LEN: usize = 2;

/// Shortest and longest record behind its length field: a type and a tag, and the data between.
const LENS: std::ops::RangeInclusive<usize> = 1 + TAG_LEN..=1 + MAX_DATA_LEN + TAG_LEN;

/// Longest text of a record that aborts the connection.
const MAX_TEXT_LEN: usize = 200;

/// A direction gets a new key after this many records.
pub(super) const REKEY_EVERY: u64 = 1 << 24;

const DATA: u8 = 0;
const END: u8 = 1;
const BROKEN_OFF: u8 = 2;

/// Why a direction was aborted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BreakCode {
    /// 1: the session was deleted.
    Deleted,
    /// 2: the session has expired.
    Expired,
    /// 3: the other end is shutting down.
    Stopping,
    /// 4: the connection was idle for too long.
    Idle,
    /// 5: the server has no application, or it failed.
    NoApplication,
    /// 6, and every unknown number.
    Other,
}

impl BreakCode {
    fn from_wire(code: u8) -> Self {
        match code {
            1 => Self::Deleted,
            2 => Self::Expired,
            3 => Self::Stopping,
            4 => Self::Idle,
            5 => Self::NoApplication,
            _ => Self::Other,
        }
    }

    fn to_wire(self) -> u8 {
        match self {
            Self::Deleted => 1,
            Self::Expired => 2,
            Self::Stopping => 3,
            Self::Idle => 4,
            Self::NoApplication => 5,
            Self::Other => 6,
        }
    }
}

/// A record.
#[derive(Clone, PartialEq, Eq)]
pub enum Record {
    /// Type 0: data; may be empty.
    Data(Vec<u8>),
    /// Type 1: the end of the data in this direction. From the server it may carry the exit status of its command.
    End(Option<i32>),
    /// Type 2: aborts both directions.
    BrokenOff {
        code: BreakCode,
        /// The same in words; at most 200 bytes.
        text: String,
    },
}

impl fmt::Debug for Record {
    /// Data belongs to applications, so only its length is shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(data) => write!(f, "Data({} bytes)", data.len()),
            Self::End(status) => f.debug_tuple("End").field(status).finish(),
            Self::BrokenOff { code, text } => f.debug_tuple("BrokenOff").field(code).field(text).finish(),
        }
    }
}

/// Why a direction has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The record is malformed, or not the next one under this key.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
    /// A record after the last one.
    #[error("there is a record after the last one")]
    AfterTheEnd,
    /// More data than a record can have.
    #[error("a record has at most {MAX_DATA_LEN} bytes of data")]
    TooLong,
}

/// The sender of a direction: only the server's end has an exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sender {
    Client,
    Server,
}

/// The state of a direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Open,
    /// Its last record was type 1 or 2.
    Over,
    /// An input was not its next record. No later record can repair that.
    Failed(RecordError),
}

pub(super) struct Direction {
    pub(super) cipher: CipherState,
    sender: Sender,
    stand: Stand,
}

impl Direction {
    fn new(cipher: CipherState, sender: Sender) -> Self {
        Self { cipher, sender, stand: Stand::Open }
    }

    fn is_over(&self) -> bool {
        self.stand == Stand::Over
    }

    /// Call this before each record.
    fn step(&mut self) -> Result<(), RecordError> {
        match self.stand {
            Stand::Open => (),
            Stand::Over => return Err(RecordError::AfterTheEnd),
            Stand::Failed(error) => return Err(error),
        }
        let count = self.cipher.count();
        if count > 0 && count.is_multiple_of(REKEY_EVERY) {
            self.cipher.rekey();
        }
        Ok(())
    }
}

/// Seals the records of this end.
pub struct RecordSealer(pub(super) Direction);

/// Opens the records of the other end.
pub struct RecordOpener(pub(super) Direction);

impl RecordSealer {
    pub(super) fn new(cipher: CipherState, sender: Sender) -> Self {
        Self(Direction::new(cipher, sender))
    }

    /// Whether the last record was sent.
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }

    /// A record of data, at most [`MAX_DATA_LEN`] bytes.
    ///
    /// # Errors
    /// [`RecordError::TooLong`] or [`RecordError::AfterTheEnd`].
    pub fn data(&mut self, data: &[u8]) -> Result<Vec<u8>, RecordError> {
        if data.len() > MAX_DATA_LEN {
            return Err(RecordError::TooLong);
        }
        self.seal(DATA, data)
    }

    /// The end of the data in this direction. A server adds the exit status of its command, if it has one.
    ///
    /// # Errors
    /// [`RecordError::AfterTheEnd`].
    pub fn end(&mut self, status: Option<i32>) -> Result<Vec<u8>, RecordError> {
        let status = status.filter(|_| self.0.sender == Sender::Server).map(i32::to_be_bytes);
        let sealed = self.seal(END, status.as_ref().map_or(&[], |status| status.as_slice()))?;
        self.0.stand = Stand::Over;
        Ok(sealed)
    }

    /// A record that aborts both directions: an end that has sent or received it closes the connection and accepts
    /// nothing more. The text is cut to 200 bytes.
    ///
    /// # Errors
    /// [`RecordError::AfterTheEnd`].
    pub fn break_off(&mut self, code: BreakCode, text: &str) -> Result<Vec<u8>, RecordError> {
        let text = &text[..text.floor_char_boundary(MAX_TEXT_LEN)];
        let sealed = self.seal(BROKEN_OFF, &[&[code.to_wire()], text.as_bytes()].concat())?;
        self.0.stand = Stand::Over;
        Ok(sealed)
    }

    fn seal(&mut self, kind: u8, data: &[u8]) -> Result<Vec<u8>, RecordError> {
        self.0.step()?;
        let len = 1 + data.len() + TAG_LEN;
        let mut record = Vec::with_capacity(LEN_LEN + len);
        record.extend((len as u16).to_be_bytes());
        record.push(kind);
        record.extend(data);
        let tag = self.0.cipher.encrypt(&mut record[LEN_LEN..]);
        record.extend(tag);
        Ok(record)
    }
}

/// The length that follows the length field of a record.
///
/// # Errors
/// [`DecodeError::BadValue`] for a length that no record has.
pub fn record_len(field: [u8; LEN_LEN]) -> Result<usize, DecodeError> {
    let len = usize::from(u16::from_be_bytes(field));
    match LENS.contains(&len) {
        true => Ok(len),
        false => Err(DecodeError::BadValue { what: "the length of a record", value: len as u64 }),
    }
}

impl RecordOpener {
    pub(super) fn new(cipher: CipherState, sender: Sender) -> Self {
        Self(Direction::new(cipher, sender))
    }

    /// Whether the last record has arrived, so that closing the connection is not a cut.
    pub fn is_over(&self) -> bool {
        self.0.is_over()
    }

    /// Opens the part of the next record after the length field.
    ///
    /// # Errors
    /// [`RecordError`]: the direction is cut, and every later record is an error too.
    pub fn open(&mut self, sealed: Vec<u8>) -> Result<Record, RecordError> {
        self.0.step()?;
        let record = self.open_next(sealed);
        self.0.stand = match &record {
            Ok(Record::Data(_)) => Stand::Open,
            Ok(Record::End(_) | Record::BrokenOff { .. }) => Stand::Over,
            Err(error) => Stand::Failed(*error),
        };
        record
    }

    fn open_next(&mut self, mut sealed: Vec<u8>) -> Result<Record, RecordError> {
        if !LENS.contains(&sealed.len()) {
            return Err(
                DecodeError::BadValue { what: "the length of a record", value: sealed.len() as u64 }.into()
            );
        }
        let len = self.0.cipher.decrypt(&mut sealed)?;
        sealed.truncate(len);
        self.decode(sealed)
    }

    fn decode(&self, mut plaintext: Vec<u8>) -> Result<Record, RecordError> {
        let kind = plaintext.first().copied().ok_or(DecodeError::Mismatch("the record's type"))?;
        match (kind, &plaintext[1..]) {
            (DATA, _) => {
                plaintext.drain(..1);
                Ok(Record::Data(plaintext))
            }
            (END, []) => Ok(Record::End(None)),
            (END, status) if self.0.sender == Sender::Server => {
                let status = *status.as_array().ok_or(DecodeError::Mismatch("the exit status"))?;
                Ok(Record::End(Some(i32::from_be_bytes(status))))
            }
            (BROKEN_OFF, [code, text @ ..]) if text.len() <= MAX_TEXT_LEN => {
                let text = std::str::from_utf8(text).map_err(|_| DecodeError::Mismatch("the text"))?;
                Ok(Record::BrokenOff { code: BreakCode::from_wire(*code), text: text.to_owned() })
            }
            _ => Err(DecodeError::BadValue { what: "the record's type", value: kind.into() }.into()),
        }
    }
}
