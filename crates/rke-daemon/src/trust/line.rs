//! One line of the file: a domain, its Content Server, the strongest form seen, and since when.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rke_proto::ContentServerId;

use super::Offer;
use crate::Domain;

/// How sessions are opened, the weakest first. `docs/protocol.md` sections 6 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
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

    /// Its name, in the file and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Handshake3Narrow => "handshake-3-narrow",
            Self::Wide => "wide",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A Content Server that is known. Its text is its line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The domain that it serves.
    pub domain: Domain,
    /// Its ID.
    pub cs_id: ContentServerId,
    /// The strongest form seen.
    pub form: Form,
    /// When it was first known under this ID, in whole seconds.
    pub since: Timestamp,
}

impl Known {
    /// The line of what is known from now on, or from `since`.
    pub(super) fn of(domain: &Domain, offer: &Offer, since: Option<Timestamp>) -> Self {
        let now = || Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
        let (Offer { cs_id, form }, since) = (*offer, since.unwrap_or_else(now));
        Self { domain: domain.clone(), cs_id, form, since }
    }

    /// Whether nothing is new about `offer`.
    pub(super) fn covers(&self, offer: &Offer) -> bool {
        self.cs_id == offer.cs_id && self.form >= offer.form
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.domain, self.cs_id, self.form, self.since)
    }
}

impl FromStr for Known {
    type Err = &'static str;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let [domain, cs_id, form, since] = words[..] else {
            return Err("not a domain, a Content Server ID, a form and a time");
        };
        Ok(Self {
            domain: Domain::new(domain).ok_or("its first word is not a domain")?,
            cs_id: ContentServerId::new(cs_id).ok_or("its second word is not a Content Server ID")?,
            form: Form::ALL.into_iter().find(|known| known.name() == form).ok_or("its form is unknown")?,
            since: since.parse().map_err(|_| "its last word is not a time such as 2026-01-31T09:30:00Z")?,
        })
    }
}
