//! The owner of a data directory. A file in it records the owner, so that programs do not mistake each other's directories
//! for their own.

use std::fmt;

use rke_proto::RaidaIndex;

use crate::sealed::Kind;

/// The owner of a data directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The daemon's.
    Daemon,
    /// A RAIDA node's.
    Node(RaidaIndex),
    /// A Content Server's. It may have the key sets of several Content Server IDs.
    ContentServer,
    /// That of a whole network on one machine, with the directories of its parts inside.
    LocalNetwork,
}

impl Role {
    /// The content of the file.
    pub(super) fn to_text(self) -> String {
        match self {
            Self::Daemon => "daemon\n".into(),
            Self::Node(raida) => format!("raida {raida}\n"),
            Self::ContentServer => "content-server\n".into(),
            Self::LocalNetwork => "local-network\n".into(),
        }
    }

    /// The kind of its sealed files.
    pub(super) fn file_kind(self) -> Kind {
        match self {
            Self::Daemon => Kind::Cache,
            Self::Node(_) | Self::ContentServer | Self::LocalNetwork => Kind::MasterSecret,
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.trim_ascii() {
            "daemon" => Some(Self::Daemon),
            "content-server" => Some(Self::ContentServer),
            "local-network" => Some(Self::LocalNetwork),
            node => node.strip_prefix("raida ")?.parse().ok().and_then(RaidaIndex::new).map(Self::Node),
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon => f.write_str("a daemon"),
            Self::Node(raida) => write!(f, "the node of RAIDA {raida}"),
            Self::ContentServer => f.write_str("a Content Server"),
            Self::LocalNetwork => f.write_str("a local network"),
        }
    }
}

#[cfg(test)]
mod tests;
