//! The interface of the fuzz targets to the gate, to heads and to queries. No shipped program has this module.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::extract::Request;
use axum::http::{HeaderName, Method};
use httparse::Header;
use rke_engine::settings::access::Access;

use super::caller::Way;
use super::host::{self, Host};
use super::origin::Own;
use super::request_head::{RequestHead, lines};
use super::{AdmissionError, AdmissionRules};
use crate::http::message::failure::Failure;
use crate::http::message::query::Query;
use crate::http::policy::{Policy, Rows};

/// The rules for `Host`, `Origin` and `Referer` over plain TCP.
pub struct Gate(AdmissionRules);

impl Gate {
    /// A gate with the rules of these settings.
    ///
    /// # Errors
    /// [`AdmissionError`].
    pub fn new(access: &Access) -> Result<Self, AdmissionError> {
        AdmissionRules::new(access).map(Self)
    }

    /// Returns host and port of a request with this `Host` and this authority in its target, if it passes.
    pub fn host(&self, host: &[u8], target: Option<&str>) -> Option<(String, Option<u16>)> {
        let (query, headers) = (Query::new(""), [Header { name: "host", value: host }]);
        let head = RequestHead { authority: target, ..head(&query, &headers) };
        let authority = host::check(&head, Way::Tcp, &self.0.hosts).ok()??;
        Some((written(&authority.host), authority.port))
    }

    /// Whether a request with this page in `header` passes.
    pub fn page(&self, host: &str, header: &str, page: &[u8]) -> bool {
        let headers = [Header { name: "host", value: host.as_bytes() }, Header { name: header, value: page }];
        let query = Query::new("");
        let head = head(&query, &headers);
        self.0.origins.check(&head, Own::of(&head, Way::Tcp)).is_ok()
    }
}

fn head<'a>(query: &'a Query<'a>, headers: &'a [Header<'a>]) -> RequestHead<'a> {
    RequestHead { policy: Policy::NO_ROUTE, method: &Method::GET, path: "/", query, authority: None, headers }
}

fn written(host: &Host<'_>) -> String {
    match host {
        Host::Name(name) => name.to_string(),
        Host::V4(address) => address.to_string(),
        Host::Loopback6 => "[::1]".into(),
        Host::V6(address) => format!("[{address}]"),
    }
}

/// A head as the gate and the handlers see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, without its `?`.
    pub query: String,
    /// The values of each header, by its name in lower case.
    pub headers: BTreeMap<String, Vec<Vec<u8>>>,
}

impl Head {
    /// The head of a request in axum's form.
    pub fn of_axum(request: &Request<()>) -> Self {
        let (query, headers) = (Query::of(request.uri()), lines(request.headers()));
        Self::of(&RequestHead::of(request, Rows::NONE, &query, &headers))
    }

    pub(in crate::http) fn of(head: &RequestHead<'_>) -> Self {
        let names = head.headers.iter().filter_map(|it| HeaderName::from_bytes(it.name.as_bytes()).ok());
        let values = |name: HeaderName| {
            let values = head.all(&name).map(<[u8]>::to_vec).collect();
            (name.as_str().to_owned(), values)
        };
        Self {
            method: head.method.to_string(),
            path: head.path.to_owned(),
            query: head.query.text().to_owned(),
            headers: names.map(values).collect(),
        }
    }
}

/// One parameter of a query, read in every way. An error is the body of its response.
#[derive(Debug)]
pub struct Parameter {
    /// Any value; `None` if it is missing.
    pub given: Result<Option<String>, String>,
    /// Any value; `None` if it is missing or empty.
    pub optional: Result<Option<String>, String>,
    /// Any value that is not empty.
    pub required: Result<String, String>,
    /// `true` or `false`.
    pub flag: Result<bool, String>,
    /// Bytes in Base64.
    pub base64: Result<Vec<u8>, String>,
}

impl Parameter {
    /// The parameter of this name.
    pub fn of(query: &str, name: &str) -> Self {
        let query = Query::new(query);
        let body = |failure: Failure| String::from_utf8_lossy(&failure.to_json()).into_owned();
        let owned = |value: Option<Cow<'_, str>>| value.map(Cow::into_owned);
        Self {
            given: query.given(name).map(owned).map_err(body),
            optional: query.optional(name).map(owned).map_err(body),
            required: query.required(name).map(Cow::into_owned).map_err(body),
            flag: query.flag(name).map_err(body),
            base64: query.base64(name).map_err(body),
        }
    }
}

/// Whether a query has no parameters but these.
pub fn has_only(query: &str, names: &[&str]) -> bool {
    Query::new(query).only(names).is_ok()
}

/// The nonce in a query.
pub fn nonce(query: &str) -> Option<[u8; 16]> {
    Query::new(query).nonce().ok()
}
