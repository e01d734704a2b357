//! What nodes tell each other through the store: which keys to wipe, and that it is done. Names only, no ids.

use rke_proto::DecodeError;
use rke_proto::cursor::Cursor;

use crate::holds::{Search, Which};
use crate::name::{DomainTag, Name};

/// A run of a node: random, new at each start.
pub(crate) type NodeId = [u8; 8];

/// A deletion: random.
pub(crate) type Operation = [u8; 8];

/// The channel on which a node listens.
pub(crate) fn channel(letter: char, node: &NodeId) -> Vec<u8> {
    [channel_prefix(letter).as_slice(), node].concat()
}

/// What the channels of all nodes of a role begin with.
pub(crate) fn channel_prefix(letter: char) -> Vec<u8> {
    format!("rke:{letter}:node:").into_bytes()
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Announcement {
    /// Wipe these, and tell `from`.
    Wipe { operation: Operation, from: NodeId, which: Which },
    /// Wipe this, then search memory for its key, and tell `from`.
    Search { operation: Operation, from: NodeId, name: Name },
    /// `by` has wiped what the operation named.
    Done { operation: Operation, by: NodeId },
    /// `by` has wiped it, and has searched for its key.
    Searched { operation: Operation, by: NodeId, found: Search },
}

/// What the holders of a deleted record are to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Wipe its key.
    Wipe,
    /// Wipe it, and then search memory for it.
    Search,
}

const ONE: u8 = 1;
const ALL: u8 = 2;
const DOMAINS: u8 = 3;
const DONE: u8 = 4;
const SEARCH: u8 = 5;
const SEARCHED: u8 = 6;

impl Announcement {
    pub(crate) fn encode(&self) -> Vec<u8> {
        match self {
            Self::Wipe { operation, from, which } => match which {
                Which::One(name) => [&Self::of_one(Order::Wipe, operation, from), &name.0[..]].concat(),
                Which::All => [&[ALL], &operation[..], from].concat(),
                Which::Domains(tags) => {
                    let tags = tags.iter().flat_map(|tag| tag.0);
                    [DOMAINS].into_iter().chain(*operation).chain(*from).chain(tags).collect()
                }
            },
            Self::Search { operation, from, name } => {
                [&Self::of_one(Order::Search, operation, from), &name.0[..]].concat()
            }
            Self::Done { operation, by } => [&[DONE], &operation[..], by].concat(),
            Self::Searched { operation, by, found } => {
                let (bytes, hits) = (found.scanned_bytes.to_be_bytes(), found.hits.to_be_bytes());
                [&[SEARCHED], &operation[..], by, &bytes, &hits].concat()
            }
        }
    }

    /// One record's announcement without the record's name, which the script adds.
    pub(crate) fn of_one(order: Order, operation: &Operation, from: &NodeId) -> Vec<u8> {
        let kind = match order {
            Order::Wipe => ONE,
            Order::Search => SEARCH,
        };
        [&[kind], &operation[..], from].concat()
    }

    /// # Errors
    /// [`DecodeError`].
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut cursor = Cursor::new(bytes);
        let kind = cursor.u8("an announcement")?;
        let (operation, from) = (cursor.array("an operation")?, cursor.array("a node")?);
        let announcement = match kind {
            ONE => {
                let which = Which::One(Name(cursor.array("a name")?));
                Self::Wipe { operation, from, which }
            }
            ALL => Self::Wipe { operation, from, which: Which::All },
            DOMAINS => {
                let count = bytes.len().saturating_sub(17) / 8;
                let tags = (0..count).map(|_| cursor.array("a tag").map(DomainTag));
                Self::Wipe { operation, from, which: Which::Domains(tags.collect::<Result<_, _>>()?) }
            }
            DONE => Self::Done { operation, by: from },
            SEARCH => Self::Search { operation, from, name: Name(cursor.array("a name")?) },
            SEARCHED => {
                let number = |bytes| u64::from_be_bytes(bytes);
                let scanned_bytes = number(cursor.array("searched bytes")?);
                let hits = number(cursor.array("hits")?);
                Self::Searched { operation, by: from, found: Search { scanned_bytes, hits } }
            }
            kind => return Err(DecodeError::BadValue { what: "an announcement", value: kind.into() }),
        };
        cursor.finish()?;
        Ok(announcement)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_encodes_decodes_and_each_cut_is_refused() {
        let (operation, from) = ([1; 8], [2; 8]);
        let wipe = |which| Announcement::Wipe { operation, from, which };
        for announcement in [
            wipe(Which::One(Name([3; 16]))),
            wipe(Which::All),
            wipe(Which::Domains(vec![DomainTag([4; 8]), DomainTag([5; 8])])),
            Announcement::Search { operation, from, name: Name([3; 16]) },
            Announcement::Done { operation, by: from },
            Announcement::Searched { operation, by: from, found: Search { scanned_bytes: 6, hits: 7 } },
        ] {
            let bytes = announcement.encode();
            assert_eq!(Announcement::decode(&bytes), Ok(announcement));
            assert!((0..17).all(|at| Announcement::decode(&bytes[..at]).is_err()));
            assert!(Announcement::decode(&[&bytes[..], &[0]].concat()).is_err());
        }
    }
}
