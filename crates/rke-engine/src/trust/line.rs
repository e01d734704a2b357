//! One line of the file: a domain, its Content Server, the strongest form seen, and since when.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rke_proto::{ContentServerId, Form};

use super::Offer;
use crate::Domain;

/// A known Content Server. It is displayed as its line in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The domain that it serves.
    pub domain: Domain,
    pub cs_id: ContentServerId,
    /// The strongest form seen.
    pub form: Form,
    /// When it was first known under this ID, in whole seconds.
    pub since: Timestamp,
}

impl Known {
    /// What is known from now on, or since `since`.
    pub(super) fn of(domain: &Domain, offer: &Offer, since: Option<Timestamp>) -> Self {
        let now = || Timestamp::from_second(Timestamp::now().as_second()).unwrap_or(Timestamp::UNIX_EPOCH);
        let (Offer { cs_id, form }, since) = (*offer, since.unwrap_or_else(now));
        Self { domain: domain.clone(), cs_id, form, since }
    }

    /// Whether `offer` contains nothing new.
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
            form: Form::of_name(form).ok_or("its form is unknown")?,
            since: since.parse().map_err(|_| "its last word is not a time such as 2026-01-31T09:30:00Z")?,
        })
    }
}
