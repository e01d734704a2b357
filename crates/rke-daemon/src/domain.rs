//! A domain name as discovery takes it: checked, in lower case, without the final dot.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

const MAX_NAME_LEN: usize = 253;
const MAX_LABEL_LEN: usize = 63;

/// A domain name of ASCII letters, digits, hyphens and underscores. Clones share its text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Domain(Arc<str>);

impl Domain {
    /// The domain that `text` names, or `None` where it cannot be one. International names are
    /// taken in their ASCII form (`xn--…`).
    pub fn new(text: &str) -> Option<Self> {
        let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let valid = name.len() <= MAX_NAME_LEN && name.split('.').all(is_label);
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
mod tests {
    use super::*;

    #[test]
    fn domains_are_lower_case_and_have_no_final_dot() {
        assert_eq!(
            Domain::new("Content.RKE.test.").map(|d| d.to_string()).as_deref(),
            Some("content.rke.test")
        );
    }

    #[test]
    fn refuses_what_is_no_domain() {
        let long_label = "a".repeat(64);
        let long_name = ["a"; 128].join(".");
        for bad in ["", ".", "a..b", "-a", "a-", "a b", "a/b", "\u{e9}.fr", "a\0", &long_label, &long_name] {
            assert!(Domain::new(bad).is_none(), "{bad:?}");
        }
        assert!(Domain::new(&"a".repeat(63)).is_some());
    }
}
