//! `Host`: which server a request is meant for. A name that an attacker's DNS points here gives
//! itself away by nothing else, so only addresses of loopback and listed names are answered. What it spells is
//! judged as it stands: a browser says of itself that it is one only to hosts that it takes for this machine,
//! and other spellings of the same address are not among them.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::{StatusCode, header};
use memchr::memchr;

use super::caller::Way;
use super::refusals::{Refusal, Rule};
use super::request_head::RequestHead;

/// The longest name in DNS, and the longest of its labels.
const MAX_NAME_LEN: usize = 253;
const MAX_LABEL_LEN: usize = 63;

const LOCALHOST: &str = "localhost";

/// A host, read whole: never compared by how its text begins or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host<'a> {
    /// A name, in lower case, without a final dot.
    Name(Cow<'a, str>),
    /// An address of IPv4.
    V4(Ipv4Addr),
    /// `[::1]`, spelled so.
    Loopback6,
    /// Any other address of IPv6, and any other spelling.
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// The host that `text` spells in a URL. `None` where it spells none.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // The name that most requests have.
        if text == LOCALHOST {
            return Some(Self::Name(text.into()));
        }
        if let Some(inner) = text.strip_prefix('[') {
            return match inner.strip_suffix(']')? {
                "::1" => Some(Self::Loopback6),
                other => other.parse().ok().map(Self::V6),
            };
        }
        if let Ok(address) = text.parse() {
            return Some(Self::V4(address));
        }
        let name = text.strip_suffix('.').unwrap_or(text);
        // `127.1` and `0x7f000001` are addresses to a browser, so they are not taken for names.
        let last = name.rsplit('.').next()?;
        let is_number = last.starts_with("0x") || last.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = name.len() <= MAX_NAME_LEN && name.split('.').all(is_label) && !is_number;
        let has_capitals = name.bytes().any(|byte| byte.is_ascii_uppercase());
        is_name.then(|| match has_capitals {
            true => Self::Name(name.to_ascii_lowercase().into()),
            false => Self::Name(name.into()),
        })
    }

    /// The same, borrowed from nothing.
    pub(super) fn into_owned(self) -> Host<'static> {
        match self {
            Self::Name(name) => Host::Name(name.into_owned().into()),
            Self::V4(address) => Host::V4(address),
            Self::Loopback6 => Host::Loopback6,
            Self::V6(address) => Host::V6(address),
        }
    }

    /// Whether browsers take it for this machine.
    pub(super) fn is_loopback(&self) -> bool {
        match self {
            Self::Name(name) => name == LOCALHOST,
            Self::V4(address) => address.is_loopback(),
            Self::Loopback6 => true,
            Self::V6(_) => false,
        }
    }
}

fn is_label(label: &str) -> bool {
    (1..=MAX_LABEL_LEN).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// A host with a port, as `Host` and origins have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Authority<'a> {
    pub(super) host: Host<'a>,
    pub(super) port: Option<u16>,
}

impl<'a> Authority<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let end = memchr(b']', text.as_bytes()).map_or(0, |end| end + 1);
        let colon = memchr(b':', &text.as_bytes()[end..]).map(|at| end + at);
        let (host, port) = colon.map_or((text, ""), |at| (&text[..at], &text[at + 1..]));
        let port = match port {
            "" => None,
            digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => Some(digits.parse().ok()?),
            _ => return None,
        };
        Some(Self { host: Host::parse(host)?, port })
    }
}

/// The host that a request is meant for, if it is this daemon. Over a unix socket any will do, and none too.
pub(super) fn check<'a>(
    head: &RequestHead<'a>,
    way: Way,
    allowed: &[Host<'_>],
) -> Result<Option<Authority<'a>>, Refusal> {
    let refuse = |status, message: &str| Err(Refusal::new(Rule::Host, status, message));
    let mut values = head.all(&header::HOST);
    let host = match (values.next(), values.next()) {
        (Some(host), None) => host,
        (None, _) if way == Way::Unix => return Ok(None),
        _ => return refuse(StatusCode::BAD_REQUEST, "A request must have one Host header"),
    };
    if way == Way::Unix {
        return Ok(std::str::from_utf8(host).ok().and_then(Authority::parse));
    }
    let authority = std::str::from_utf8(host).ok().and_then(Authority::parse);
    let Some(authority) = authority.filter(|authority| is_ours(&authority.host, allowed)) else {
        return refuse(
            StatusCode::MISDIRECTED_REQUEST,
            "This daemon does not answer to the request's Host; start it with --allow-host NAME if it should",
        );
    };
    if head.authority.is_some_and(|target| Authority::parse(target).as_ref() != Some(&authority)) {
        return refuse(StatusCode::MISDIRECTED_REQUEST, "The request's target and its Host differ");
    }
    Ok(Some(authority))
}

fn is_ours(host: &Host<'_>, allowed: &[Host<'_>]) -> bool {
    host.is_loopback() || allowed.contains(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_recognised_by_whole_labels_and_whole_addresses() {
        for text in [
            "localhost",
            "LocalHost:8080",
            "localhost.",
            "localhost:",
            "127.0.0.1",
            "127.8.9.10:80",
            "[::1]:8080",
            "[::1]",
        ] {
            assert!(Authority::parse(text).is_some_and(|a| a.host.is_loopback()), "{text}");
        }
        for text in [
            "",
            ":8080",
            ".",
            "localhost..",
            "127.evil.com",
            "localhost.evil.com",
            "evil-localhost",
            "user@localhost",
            "localhost:abc",
            "localhost:99999",
            "localhost:80:80",
            "localhost:+80",
            "localhost/",
            "local host",
            "0.0.0.0",
            "127.1",
            "2130706433",
            "0x7f.0.0.1",
            "127.0.0.01",
            "127.0.0.1.",
            "[::]",
            "[::1",
            "::1",
            "[::1]x",
            "[::1%lo]",
            "[[::1]]",
            "[127.0.0.1]",
            "[0:0:0:0:0:0:0:1]",
            "[::01]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]:1",
            "[::127.0.0.1]",
            "[64:ff9b::127.0.0.1]",
            "127.0.1",
            "0x7f000001",
            "0",
            "foo.localhost",
        ] {
            assert!(!Authority::parse(text).is_some_and(|a| a.host.is_loopback()), "{text}");
        }
    }

    #[test]
    fn names_are_compared_without_regard_to_case_and_final_dot() {
        assert_eq!(Host::parse("Rke.Example."), Host::parse("rke.example"));
        assert_ne!(Host::parse("rke.example"), Host::parse("xrke.example"));
        assert_eq!(Host::parse("[FD00::5]"), Host::parse("[fd00:0::5]"));
        assert_ne!(Host::parse("192.168.1.5"), Host::parse("[::ffff:192.168.1.5]"));
    }
}
