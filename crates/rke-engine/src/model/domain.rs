//! A domain name as discovery takes it: checked, in lower case, without the final dot.

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
    /// The domain that `text` names, or `None` where it cannot be one, as an address cannot. International names become
    /// their ASCII form (`xn--…`).
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
    fn international_names_become_ascii_and_underscores_stay() {
        for (text, name) in [
            ("M\u{dc}NCHEN.example", "xn--mnchen-3ya.example"),
            ("mu\u{308}nchen\u{3002}example\u{3002}", "xn--mnchen-3ya.example"),
            ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
            ("stra\u{df}e.example", "xn--strae-oqa.example"),
            ("my_host._sub.example", "my_host._sub.example"),
        ] {
            assert_eq!(Domain::new(text).expect(text).as_str(), name, "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_domain() {
        let long_label = "a".repeat(64);
        let long_name = ["a"; 128].join(".");
        let broken = ["a\u{fffd}", "xn--\u{e9}", "\u{200b}", "a\u{2488}b"];
        let addresses = ["192.0.2.1", "[::1]", "::1", "127.1", "a.9"];
        let plain = ["", ".", "a..b", "-a", "a-", "a b", "a/b", "a:1", "a\0", &long_label, &long_name];
        for bad in plain.into_iter().chain(addresses).chain(broken) {
            assert!(Domain::new(bad).is_none(), "{bad:?}");
        }
        assert!(Domain::new(&"a".repeat(63)).is_some());
    }
}
