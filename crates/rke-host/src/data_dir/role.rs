//! Whose a data directory is. It says so in a file, so that two programs do not take each other's for their own.

use std::fmt;

use rke_proto::RaidaIndex;

use crate::sealed::Kind;

/// Whose a data directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The daemon's.
    Daemon,
    /// A RAIDA node's.
    Node(RaidaIndex),
    /// A Content Server's. It may have the key sets of several Content Server IDs.
    ContentServer,
    /// That of a whole network on one machine, whose parts have theirs inside it.
    LocalNetwork,
}

impl Role {
    /// As the file says it.
    pub(super) fn to_text(self) -> String {
        match self {
            Self::Daemon => "daemon\n".into(),
            Self::Node(raida) => format!("raida {raida}\n"),
            Self::ContentServer => "content-server\n".into(),
            Self::LocalNetwork => "local-network\n".into(),
        }
    }

    /// What its sealed files hold.
    pub(super) fn seals(self) -> Kind {
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
mod tests {
    use super::*;

    #[test]
    fn each_role_is_read_as_it_is_written() {
        let nodes = RaidaIndex::all().map(Role::Node);
        for role in nodes.chain([Role::Daemon, Role::ContentServer, Role::LocalNetwork]) {
            assert_eq!(Role::parse(&role.to_text()), Some(role));
        }
        for wrong in ["", "raida", "raida 25", "raida -1", "daemon 2", "Daemon", "raida 1 2"] {
            assert_eq!(Role::parse(wrong), None, "{wrong:?}");
        }
    }
}
