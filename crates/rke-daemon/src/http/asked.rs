//! What the head of a request says, as far as the gate looks at it: the same whether axum has read the
//! request or the connection has, and borrowed from there.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Method};
use httparse::Header;

use super::query::Query;

/// A request's head.
pub(super) struct Asked<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    /// The query, which comes beside the path: checking a long one as a part of a URI takes longer than
    /// encrypting what is in it.
    pub(super) query: &'a Query<'a>,
    /// Host and port, where the target is a whole URL.
    pub(super) authority: Option<&'a str>,
    pub(super) headers: &'a [Header<'a>],
}

impl<'a> Asked<'a> {
    /// Of a request whose headers are [`lines`].
    pub(super) fn of<B>(request: &'a Request<B>, query: &'a Query<'a>, headers: &'a [Header<'a>]) -> Self {
        let (method, uri) = (request.method(), request.uri());
        Self { method, path: uri.path(), query, authority: uri.authority().map(|it| it.as_str()), headers }
    }

    /// All values of a header.
    pub(super) fn all(&self, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let (headers, name) = (self.headers.iter(), name.as_str());
        let named = headers.filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value)
    }

    /// The first of them.
    pub(super) fn first(&self, name: &HeaderName) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    pub(super) fn has(&self, name: &HeaderName) -> bool {
        self.first(name).is_some()
    }
}

/// Headers as they stand in a head.
pub(super) fn lines(headers: &HeaderMap) -> Vec<Header<'_>> {
    headers.iter().map(|(name, value)| Header { name: name.as_str(), value: value.as_bytes() }).collect()
}
