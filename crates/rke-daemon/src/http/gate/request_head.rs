//! The head of a request, as far as the gate looks at it. It is the same whether axum or the fast path has read the
//! request, and borrows from there.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, Method, header};
use httparse::Header;

use crate::http::message::query::Query;
use crate::http::policy::{Policy, Rows};

/// A request's head.
pub(in crate::http) struct RequestHead<'a> {
    /// The policy of its row in the table of routes.
    pub(in crate::http) policy: Policy,
    pub(in crate::http) method: &'a Method,
    pub(in crate::http) path: &'a str,
    /// The query, apart from the path: checking a long query as a part of a URI takes longer than encrypting the
    /// data in it.
    pub(in crate::http) query: &'a Query<'a>,
    /// Host and port, if the target is a whole URL.
    pub(in crate::http) authority: Option<&'a str>,
    pub(in crate::http) headers: &'a [Header<'a>],
}

impl<'a> RequestHead<'a> {
    /// The head of a request to a path with these rows. `headers` are its [`lines`]. The attempt of a preflight is
    /// that of the request it asks permission for.
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

    /// The first value of a header.
    pub(in crate::http) fn first(&self, name: &HeaderName) -> Option<&'a [u8]> {
        self.all(name).next()
    }

    pub(in crate::http) fn has(&self, name: &HeaderName) -> bool {
        self.first(name).is_some()
    }
}

/// Headers in the form that httparse gives them.
pub(in crate::http) fn lines(headers: &HeaderMap) -> Vec<Header<'_>> {
    headers.iter().map(|(name, value)| Header { name: name.as_str(), value: value.as_bytes() }).collect()
}
