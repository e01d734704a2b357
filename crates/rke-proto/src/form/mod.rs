//! How sessions with a Content Server are opened: what its key sets serve, and how strong the keys are.
//! `docs/protocol.md` sections 6 to 8.

use std::fmt;

use crate::derive::ShareWidth;

/// How sessions are opened, the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// Narrow shares and the handshake of the live network.
    Live,
    /// Handshake 3 over narrow shares.
    Handshake3Narrow,
    /// Handshake 3 over wide shares.
    Wide,
}

impl Form {
    /// All of them, the strongest first.
    pub const ALL: [Self; 3] = [Self::Wide, Self::Handshake3Narrow, Self::Live];

    /// Its name, in files and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Handshake3Narrow => "handshake-3-narrow",
            Self::Wide => "wide",
        }
    }

    /// The form with this name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.name() == name)
    }

    /// The width of its shares.
    pub fn share_width(self) -> ShareWidth {
        match self {
            Self::Live | Self::Handshake3Narrow => ShareWidth::Narrow,
            Self::Wide => ShareWidth::Wide,
        }
    }

    /// Whether sessions are opened by handshake 3. Each then has its own key, from an ephemeral exchange.
    pub fn is_handshake_3(self) -> bool {
        self != Self::Live
    }

    /// How many bits an eavesdropper has to guess.
    pub fn key_bits(self) -> u16 {
        if self.is_handshake_3() { 256 } else { 8 }
    }

    /// The line of a TXT record with which a domain requires it. The live network has none.
    pub fn requirement(self) -> Option<&'static str> {
        match self {
            Self::Live => None,
            Self::Handshake3Narrow => Some("required handshake>=3"),
            Self::Wide => Some("required share-bytes>=32"),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
