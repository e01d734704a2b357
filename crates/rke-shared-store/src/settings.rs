//! What a store is opened with, and the limits that all nodes share.

use std::fmt::Write;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::milliseconds;
use crate::link::address::Addresses;
use crate::name::Kind;

/// How long after a new incarnation an unknown id may still be known to the old primary.
pub const SETTLE: Duration = Duration::from_secs(15);

/// Which ends share the store. Each has its own part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Daemon,
    /// Instances of a Content Server, with the keys of its sessions.
    ContentServer,
    /// The same, with the resumption secrets.
    Resumptions,
}

/// What an operator says about the store: where it is, and how this machine uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    pub addresses: Addresses,
    pub key_file: PathBuf,
    pub hold: Duration,
}

/// A copy whose hold is over this soon, as a part of a whole hold, is fetched again first: its result might come too late.
pub const MARGIN: u32 = 16;

/// What a store is opened with.
#[derive(Debug, Clone)]
pub struct Settings {
    pub addresses: Addresses,
    pub key_file: PathBuf,
    pub role: Role,
    pub limits: Limits,
    /// [`SETTLE`], except in tests.
    pub settle: Duration,
}

/// What all nodes have to agree on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most sessions at one time.
    pub max: u64,
    /// A session's lifetime from when it is opened or renewed.
    pub ttl: Duration,
    /// The same including renewals, from when it was opened.
    pub max_lifetime: Duration,
    /// How long a session may be unused, if that is limited.
    pub idle: Option<Duration>,
    /// How long a node keeps an opened key without asking again.
    pub hold: Duration,
    /// How many messages a key may encrypt.
    pub messages: u64,
    /// How many bytes a key may encrypt.
    pub bytes: u64,
}

impl Role {
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Daemon => Kind::Session,
            Self::ContentServer => Kind::ServerKey,
            Self::Resumptions => Kind::ServerResumption,
        }
    }

    /// The kind of the entries that it keeps by domain: a daemon's resumption secrets, or a Content Server's proofs.
    pub(crate) fn resumptions(self) -> Kind {
        match self {
            Self::Daemon => Kind::Cached,
            Self::ContentServer | Self::Resumptions => Kind::Forgotten,
        }
    }

    pub(crate) fn letter(self) -> char {
        match self {
            Self::Daemon => 'd',
            Self::ContentServer => 'c',
            Self::Resumptions => 'r',
        }
    }
}

impl Settings {
    /// Of a program that looks into the store and joins no nodes, so that limits mean nothing.
    pub(crate) fn of_a_visitor(addresses: Addresses, key_file: PathBuf, role: Role) -> Self {
        let limits = Limits {
            max: 0,
            ttl: Duration::ZERO,
            max_lifetime: Duration::ZERO,
            idle: None,
            hold: Duration::ZERO,
            messages: 0,
            bytes: 0,
        };
        Self { addresses, key_file, role, limits, settle: SETTLE }
    }
}

impl Limits {
    /// As the store keeps them: `name=value` for each, in a fixed order.
    pub(crate) fn to_text(self, partitions: u16) -> String {
        let idle = self.idle.map_or(0, milliseconds);
        let rows = [
            ("partitions", partitions.into()),
            ("max-sessions", self.max),
            ("session-ttl", milliseconds(self.ttl)),
            ("session-max-lifetime", milliseconds(self.max_lifetime)),
            ("session-idle", idle),
            ("hold", milliseconds(self.hold)),
            ("key-messages", self.messages),
            ("key-bytes", self.bytes),
        ];
        rows.iter().fold(String::new(), |mut text, (name, value)| {
            // Writing to a string does not fail.
            let _ = write!(text, "{}{name}={value}", if text.is_empty() { "" } else { " " });
            text
        })
    }

    /// How many of the sessions a partition may have. Together the partitions have them all.
    pub(crate) fn of_partition(&self, partition: u16, partitions: u16) -> u64 {
        let (all, partition) = (u64::from(partitions), u64::from(partition));
        self.max / all + u64::from(partition < self.max % all)
    }
}

/// The limits that differ, for a person.
pub(crate) fn differences(own: &str, theirs: &str) -> String {
    let differs =
        |(own, theirs): (&str, &str)| (own != theirs).then(|| format!("{own} here, {theirs} there"));
    own.split(' ').zip(theirs.split(' ')).filter_map(differs).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_the_limit_add_up_to_it() {
        let limits = |max| Limits {
            max,
            ttl: Duration::ZERO,
            max_lifetime: Duration::ZERO,
            idle: None,
            hold: Duration::ZERO,
            messages: 0,
            bytes: 0,
        };
        for (max, partitions) in [(0, 1), (1, 64), (63, 64), (64, 64), (65, 64), (1_000_000, 64), (10, 1)] {
            let parts = (0..partitions).map(|partition| limits(max).of_partition(partition, partitions));
            assert_eq!(parts.sum::<u64>(), max);
        }
    }

    #[test]
    fn only_the_limits_that_differ_are_named() {
        let found = differences("max-sessions=1 hold=5 key-bytes=2", "max-sessions=1 hold=6 key-bytes=2");
        assert_eq!(found, "hold=5 here, hold=6 there");
    }
}
