//! What the head of a request says, as far as the gate looks at it: the same whether axum has read the
//! request or the connection has, and borrowed from there.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Method, header};
use httparse::Header;

use super::query::Query;
use super::routes::{Policy, Rows};

/// A request's head.
pub(super) struct Asked<'a> {
    /// What holds for it, as the table of routes says.
    pub(super) policy: Policy,
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
    /// Of a request to a path with these rows, whose headers are [`lines`]. A preflight is after what it asks leave for.
    pub(super) fn of<B>(
        request: &'a Request<B>,
        rows: Rows,
        query: &'a Query<'a>,
        headers: &'a [Header<'a>],
    ) -> Self {
        let (method, uri) = (request.method(), request.uri());
        let authority = uri.authority().map(|it| it.as_str());
        let mut asked =
            Self { policy: rows.policy(method), method, path: uri.path(), query, authority, headers };
        if *method == Method::OPTIONS
            && let Some(wanted) = asked.first(&header::ACCESS_CONTROL_REQUEST_METHOD)
            && let Ok(wanted) = Method::from_bytes(wanted)
        {
            asked.policy.attempt = rows.policy(&wanted).attempt;
        }
        asked
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
