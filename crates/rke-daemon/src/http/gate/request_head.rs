//! What the head of a request says, as far as the gate looks at it: the same whether axum has read the
//! request or the connection has, and borrowed from there.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Method, header};
use httparse::Header;

use crate::http::api::query::Query;
use crate::http::routes::{Policy, Rows};

/// A request's head.
pub(in crate::http) struct RequestHead<'a> {
    /// What holds for it, as the table of routes says.
    pub(in crate::http) policy: Policy,
    pub(in crate::http) method: &'a Method,
    pub(in crate::http) path: &'a str,
    /// The query, which comes beside the path: checking a long one as a part of a URI takes longer than
    /// encrypting what is in it.
    pub(in crate::http) query: &'a Query<'a>,
    /// Host and port, where the target is a whole URL.
    pub(in crate::http) authority: Option<&'a str>,
    pub(in crate::http) headers: &'a [Header<'a>],
}

impl<'a> RequestHead<'a> {
    /// Of a request to a path with these rows, whose headers are [`lines`]. A preflight is after what it asks leave for.
    pub(in crate::http) fn of<B>(
        request: &'a Request<B>,
        rows: Rows,
        query: &'a Query<'a>,
        headers: &'a [Header<'a>],
    ) -> Self {
        let (method, uri) = (request.method(), request.uri());
        let authority = uri.authority().map(|it| it.as_str());
        let mut head =
            Self { policy: rows.policy(method), method, path: uri.path(), query, authority, headers };
        if *method == Method::OPTIONS
            && let Some(wanted) = head.first(&header::ACCESS_CONTROL_REQUEST_METHOD)
            && let Ok(wanted) = Method::from_bytes(wanted)
        {
            head.policy.attempt = rows.policy(&wanted).attempt;
        }
        head
    }

    /// All values of a header.
    pub(in crate::http) fn all(&self, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
        let (headers, name) = (self.headers.iter(), name.as_str());
        let named = headers.filter(move |header| header.name.eq_ignore_ascii_case(name));
        named.map(|header| header.value)
    }

    /// The first of them.
    pub(in crate::http) fn first(&self, name: &HeaderName) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    pub(in crate::http) fn has(&self, name: &HeaderName) -> bool {
        self.first(name).is_some()
    }
}

/// Headers as they stand in a head.
pub(in crate::http) fn lines(headers: &HeaderMap) -> Vec<Header<'_>> {
    headers.iter().map(|(name, value)| Header { name: name.as_str(), value: value.as_bytes() }).collect()
}
