//! What the store calls things. It never sees an id or a domain: names are HMACs under a key that it does not have.
//! `docs/store-format.md` section 3.

use std::fmt;

use sha2::{Digest, Sha256};

/// Length of an id: of a session, a key, a resumption, or of what a cache entry is for.
pub const ID_LEN: usize = 16;

/// Length of a name.
pub(crate) const NAME_LEN: usize = 16;

/// Length of a domain's tag, and of a sealing key's.
pub(crate) const TAG_LEN: usize = 8;

const PARTITION_LABEL: &[u8] = b"RKE-Store-Partition-v1";

/// What a record is. The same id means different things in different kinds, and its names differ too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A session of a daemon.
    Session,
    /// A resumption secret in the daemons' cache.
    Cached,
    /// A session's key at a Content Server.
    ServerKey,
    /// A resumption secret at a Content Server.
    ServerResumption,
    /// What is known about a domain's Content Server.
    Known,
    /// The proof that a Content Server has wiped a secret.
    Forgotten,
}

impl Kind {
    /// Its number in names and associated data.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::Session => 1,
            Self::Cached => 2,
            Self::ServerKey => 3,
            Self::ServerResumption => 4,
            Self::Known => 5,
            Self::Forgotten => 6,
        }
    }
}

/// An id as an application knows it. Anyone who knows a session's id can use the session, so it has no `Debug`, and the
/// store never sees it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Id(pub [u8; ID_LEN]);

impl Id {
    /// A random id.
    ///
    /// # Errors
    /// If the system's generator fails.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; ID_LEN];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// The partition that its records are in. It depends on no key, so it stays the same when keys are rotated. It shows
    /// the store no more than its own number about an id of 128 random bits.
    pub(crate) fn partition(&self, partitions: u16) -> u16 {
        let mut digest = Sha256::new();
        digest.update(PARTITION_LABEL);
        digest.update(self.0);
        let [first, second, ..] = <[u8; 32]>::from(digest.finalize());
        u16::from_be_bytes([first, second]) % partitions
    }
}

/// What the store calls a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(pub(crate) [u8; NAME_LEN]);

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({:032x})", u128::from_be_bytes(self.0))
    }
}

/// What the store calls a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DomainTag(pub(crate) [u8; TAG_LEN]);

/// What the store calls a sealing key. It says nothing about the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyTag(pub(crate) [u8; TAG_LEN]);

/// The `master_replid` of the primary that made a record. It is new at each start and promotion, so nothing that an
/// earlier primary made opens under a later one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Incarnation(pub(crate) [u8; Self::LEN]);

impl Incarnation {
    pub(crate) const LEN: usize = 20;
}

impl fmt::Debug for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
