//! `Host`: the server that a request is meant for. Only this header reveals a name that an attacker's DNS points at
//! the daemon, so only loopback addresses and listed names are served. The text is judged as it is spelled: a
//! browser sends `Sec-Fetch-*` only to hosts that it considers to be this machine, and other spellings of the same
//! address are not among them.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::{StatusCode, header};
use memchr::memchr;

use super::caller::Way;
use super::refusals::{Refusal, Rule};
use super::request_head::RequestHead;

/// The longest name in DNS, and its longest label.
const MAX_NAME_LEN: usize = 253;
const MAX_LABEL_LEN: usize = 63;

const LOCALHOST: &str = "localhost";

/// A host, parsed as a whole. It is never compared by a prefix or suffix of its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Host<'a> {
    /// A name, in lower case, without a final dot.
    Name(Cow<'a, str>),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// Exactly `[::1]`.
    Loopback6,
    /// Any other IPv6 address, and any other spelling of `::1`.
    V6(Ipv6Addr),
}

impl<'a> Host<'a> {
    /// Parses the host of a URL. `None` if `text` is not a host.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        // Most requests have this name.
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
        // Browsers read `127.1` and `0x7f000001` as addresses, so they are not accepted as names.
        let last = name.rsplit('.').next()?;
        let is_number = last.starts_with("0x")
            || last.starts_with("0X")
            || last.bytes().all(|byte| byte.is_ascii_digit());
        let is_name = name.len() <= MAX_NAME_LEN && name.split('.').all(is_label) && !is_number;
        let has_capitals = name.bytes().any(|byte| byte.is_ascii_uppercase());
        is_name.then(|| match has_capitals {
            true => Self::Name(name.to_ascii_lowercase().into()),
            false => Self::Name(name.into()),
        })
    }

    /// The same without borrowed text.
    pub(super) fn into_owned(self) -> Host<'static> {
        match self {
            Self::Name(name) => Host::Name(name.into_owned().into()),
            Self::V4(address) => Host::V4(address),
            Self::Loopback6 => Host::Loopback6,
            Self::V6(address) => Host::V6(address),
        }
    }

    /// Whether browsers consider it to be this machine.
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

/// A host with a port, as in `Host` and in origins.
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

/// Returns the host that a request is meant for, if it is this daemon. Over a Unix socket any host passes, and so
/// does none.
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
mod tests;
