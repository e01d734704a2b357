//! A domain name as discovery uses it: checked, in lower case, without the final dot.

use std::fmt;
use std::sync::Arc;

use idna::{AsciiDenyList, domain_to_ascii_cow};
use serde::{Serialize, Serializer};

const MAX_NAME_LEN: usize = 253;
const MAX_LABEL_LEN: usize = 63;

/// A domain name of ASCII letters, digits, hyphens and underscores. Clones share its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

impl Domain {
    /// The domain that `text` names. `None` if it is not a valid name; an IP address is not. International names are
    /// converted to their ASCII form (`xn--…`).
    pub fn new(text: &str) -> Option<Self> {
        let name = domain_to_ascii_cow(text.as_bytes(), AsciiDenyList::EMPTY).ok()?;
        let name = name.strip_suffix('.').unwrap_or(&name);
        let is_address = name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
        let valid = name.len() <= MAX_NAME_LEN && name.split('.').all(is_label) && !is_address;
        valid.then(|| Self(name.into()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    (1..=MAX_LABEL_LEN).contains(&label.len())
        && label.bytes().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl std::str::FromStr for Domain {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text).ok_or("not a domain name such as content.example.com")
    }
}

#[cfg(test)]
mod tests;
