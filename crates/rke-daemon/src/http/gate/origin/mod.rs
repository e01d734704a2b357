//! `Origin`: the web page that a request comes from. Programs other than browsers send none. Pages served by this
//! machine itself pass, unless the operator has set otherwise. Elements such as images send none either; if they
//! send a `Referer`, it is judged in its place.

use axum::http::{HeaderValue, StatusCode, header};
use rke_engine::settings::access::{LoopbackOrigins, NullOrigin};

use super::caller::Way;
use super::host::Authority;
use super::refusals::{Refusal, Rule};
use super::request_head::RequestHead;
use crate::http::policy::Audience;

/// Scheme, host and port, compared as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin<'a> {
    scheme: String,
    authority: Authority<'a>,
}

impl<'a> Origin<'a> {
    /// Parses an origin. `None` for `null`, and for anything with a path.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        is_scheme.then_some(())?;
        Some(Self::new(scheme, Authority::parse(authority)?))
    }

    fn new(scheme: &str, mut authority: Authority<'a>) -> Self {
        let scheme = scheme.to_ascii_lowercase();
        authority.port = authority.port.or(match scheme.as_str() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        });
        Self { scheme, authority }
    }

    /// The same without borrowed text.
    pub(super) fn into_owned(self) -> Origin<'static> {
        let Self { scheme, authority: Authority { host, port } } = self;
        Origin { scheme, authority: Authority { host: host.into_owned(), port } }
    }

    fn is_loopback(&self) -> bool {
        matches!(self.scheme.as_str(), "http" | "https") && self.authority.host.is_loopback()
    }
}

/// The daemon's own origin, as the request's `Host` spells it. A browser spells both alike and treats any other
/// spelling as another origin. So the texts are compared, not their meanings.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    scheme: &'static str,
    host: &'a str,
}

impl<'a> Own<'a> {
    /// `None` if the request has no valid `Host`.
    pub(super) fn of(head: &RequestHead<'a>, way: Way) -> Option<Self> {
        let host = std::str::from_utf8(head.first(&header::HOST)?).ok()?;
        Authority::parse(host).is_some().then(|| Self { scheme: way.scheme(), host })
    }

    /// Whether `origin` is this origin.
    pub(super) fn is(self, origin: &str) -> bool {
        origin.split_once("://").is_some_and(|(scheme, host)| {
            scheme.eq_ignore_ascii_case(self.scheme) && host.eq_ignore_ascii_case(self.host)
        })
    }
}

/// The pages that pass.
#[derive(Debug)]
pub(super) struct OriginRules {
    pub(super) listed: Vec<Origin<'static>>,
    pub(super) null: NullOrigin,
    pub(super) loopback: LoopbackOrigins,
}

impl OriginRules {
    /// Returns the request's origin as it was sent, if it has one and it passes.
    pub(super) fn check(
        &self,
        head: &RequestHead<'_>,
        own: Option<Own<'_>>,
    ) -> Result<Option<HeaderValue>, Refusal> {
        let mut values = head.all(&header::ORIGIN);
        let Some(value) = values.next() else {
            return self.check_referer(head, own).map(|()| None);
        };
        let text = std::str::from_utf8(value).unwrap_or_default();
        if values.next().is_none() && self.pass(text, own) {
            return Ok(HeaderValue::from_bytes(value).ok());
        }
        let message = match text {
            "null" => "Pages without an origin may not use this daemon; --allow-null-origin lets them",
            _ => {
                "Pages of this origin may not use this daemon; start it with --allow-origin ORIGIN if they should"
            }
        };
        Err(Refusal::new(Rule::Origin, StatusCode::FORBIDDEN, message))
    }

    /// A link from another site may lead to the pages, but to nothing that has an effect.
    fn check_referer(&self, head: &RequestHead<'_>, own: Option<Own<'_>>) -> Result<(), Refusal> {
        let mut pages = head.all(&header::REFERER).map(|value| std::str::from_utf8(value).ok());
        let passes = |page: Option<&str>| page.is_some_and(|url| self.pass_origin(origin_part(url), own));
        if head.policy.audience != Audience::Applications || pages.all(passes) {
            return Ok(());
        }
        let message = "The page that the Referer names may not use this daemon; start it with --allow-origin ORIGIN if \
                       it should";
        Err(Refusal::new(Rule::Origin, StatusCode::FORBIDDEN, message))
    }

    fn pass(&self, text: &str, own: Option<Own<'_>>) -> bool {
        match text {
            "null" => self.null == NullOrigin::Allowed,
            _ => self.pass_origin(text, own),
        }
    }

    fn pass_origin(&self, text: &str, own: Option<Own<'_>>) -> bool {
        let loopback = self.loopback == LoopbackOrigins::Allowed;
        let is_allowed = |origin| self.listed.contains(&origin) || (loopback && origin.is_loopback());
        own.is_some_and(|own| own.is(text)) || Origin::parse(text).is_some_and(is_allowed)
    }
}

/// The text of a page's origin, from its `Origin` or else from its `Referer`. The page's path stays private.
pub(super) fn named<'a>(head: &RequestHead<'a>) -> Option<&'a [u8]> {
    head.first(&header::ORIGIN).or_else(|| {
        let url = std::str::from_utf8(head.first(&header::REFERER)?).ok()?;
        Some(origin_part(url).as_bytes())
    })
}

/// A URL without its path, query and fragment.
fn origin_part(url: &str) -> &str {
    let start = url.find("://").map_or(0, |at| at + 3);
    let end = url[start..].find(['/', '?', '#']).map_or(url.len(), |at| start + at);
    &url[..end]
}

#[cfg(test)]
mod tests;
