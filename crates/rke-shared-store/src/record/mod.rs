//! A record as the store has it: a head that scripts read, and sealed parts that they do not. `docs/store-format.md`
//! section 2. Scripts change single fields of the head in place, so each has a fixed offset.

use rke_proto::DecodeError;
use rke_proto::cursor::Cursor;

use crate::name::{DomainTag, Incarnation, KeyTag};

/// The version of the format.
const VERSION: u8 = 1;

/// Length of the head.
pub(crate) const HEAD_LEN: usize = 99;

/// The longest description or farewell, unsealed.
pub const MAX_DATA_LEN: usize = 4096;

/// What scripts read and change. None of it is secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The key that has sealed it. Its name is by the same key.
    pub(crate) key: KeyTag,
    /// The primary that made it.
    pub(crate) incarnation: Incarnation,
    /// When it ends. Times are in milliseconds of the store's clock.
    pub(crate) expires_at: u64,
    /// When it ends if it is not used. 0 without such a limit.
    pub(crate) idle_until: u64,
    pub(crate) created_at: u64,
    /// The latest end that renewals can give it.
    pub(crate) latest: u64,
    /// The number of the latest deletion of many before it was made.
    pub(crate) generation: u64,
    pub(crate) domain: DomainTag,
    /// How much of what its key may encrypt has been taken by nodes.
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

/// A whole record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) head: Head,
    pub(crate) secret: Vec<u8>,
    pub(crate) description: Vec<u8>,
    /// Empty if nothing has to be wiped at another end.
    pub(crate) farewell: Vec<u8>,
}

impl Record {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let head = &self.head;
        let times = [head.expires_at, head.idle_until, head.created_at, head.latest, head.generation];
        let mut bytes =
            Vec::with_capacity(HEAD_LEN + self.parts().iter().map(|part| part.len()).sum::<usize>());
        bytes.push(VERSION);
        bytes.extend(head.key.0);
        bytes.extend(head.incarnation.0);
        bytes.extend(times.iter().flat_map(|time| time.to_be_bytes()));
        bytes.extend(head.domain.0);
        bytes.extend([head.messages, head.bytes].iter().flat_map(|used| used.to_be_bytes()));
        // Parts are bounded by `MAX_DATA_LEN`, so their lengths fit.
        bytes.extend(self.parts().iter().flat_map(|part| (part.len() as u16).to_be_bytes()));
        self.parts().iter().for_each(|part| bytes.extend_from_slice(part));
        bytes
    }

    /// # Errors
    /// [`DecodeError`], also if bytes are left over.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let version = cursor.u8("the version of a record")?;
        if version != VERSION {
            return Err(DecodeError::BadValue { what: "the version of a record", value: version.into() });
        }
        let head = Head::decode(&mut cursor)?;
        let mut lengths = [0; 3];
        for length in &mut lengths {
            *length = cursor.u16("the length of a part")?;
        }
        let [secret, description, farewell] =
            lengths.map(|length| cursor.slice("a part", length.into()).map(<[u8]>::to_vec));
        let record = Self { head, secret: secret?, description: description?, farewell: farewell? };
        cursor.finish()?;
        Ok(record)
    }

    fn parts(&self) -> [&[u8]; 3] {
        [&self.secret, &self.description, &self.farewell]
    }
}

impl Head {
    fn decode(cursor: &mut Cursor<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            key: KeyTag(cursor.array("a key's tag")?),
            incarnation: Incarnation(cursor.array("an incarnation")?),
            expires_at: cursor.u64("a time")?,
            idle_until: cursor.u64("a time")?,
            created_at: cursor.u64("a time")?,
            latest: cursor.u64("a time")?,
            generation: cursor.u64("a generation")?,
            domain: DomainTag(cursor.array("a domain's tag")?),
            messages: cursor.u64("a usage")?,
            bytes: cursor.u64("a usage")?,
        })
    }
}

#[cfg(test)]
mod tests;
