//! Bounds on what a request may bring, checked before anything else looks at it. hyper has wider
//! ones of its own, which [`super::connection`] answers for.

use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use httparse::Header;

use super::admission::{Refusal, Rule};
use super::asked::{Asked, lines};
use super::bodies::{Kind, MAX_JSON_LEN, collect};
use super::failure::Failure;
use super::patience::Patience;
use super::query::Query;

const MAX_URI_LEN: usize = 48 * 1024;
const MAX_HEADERS: usize = 64;
const MAX_HEADERS_LEN: usize = 16 * 1024;
/// For the routes that have no rule of their own.
const MAX_BODY_LEN: u64 = 64 * 1024;
const BODY_TOO_LARGE: &str = "The request's body is over 64 KiB";

pub(super) const URI_TOO_LONG: &str = "The request's URI is over 48 KiB";
pub(super) const JSON_TOO_LARGE: &str =
    "The JSON body is over 1 MiB; send the data as a raw body, which may have any size";
pub(super) const HEADERS_TOO_LARGE: &str = "The request has over 64 headers or over 16 KiB of them";

/// Refuses what is too large.
pub(super) fn check(asked: &Asked<'_>) -> Result<(), Refusal> {
    let refuse = |status, message: &str| Err(Refusal::new(Rule::Size, status, message));
    if asked.path.len() + asked.query.len() > MAX_URI_LEN {
        return refuse(StatusCode::URI_TOO_LONG, URI_TOO_LONG);
    }
    if asked.headers.len() > MAX_HEADERS || headers_len(asked.headers) > MAX_HEADERS_LEN {
        return refuse(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, HEADERS_TOO_LARGE);
    }
    let declared = declared_len(asked);
    if declared.is_some() && asked.has(&header::TRANSFER_ENCODING) {
        return unclear_length();
    }
    match BodyRule::of(asked) {
        BodyRule::Any => Ok(()),
        // What declares no length is counted while it is read.
        BodyRule::Json if declared.is_some_and(|len| len > MAX_JSON_LEN) => too_large(JSON_TOO_LARGE),
        BodyRule::Json => Ok(()),
        BodyRule::Small if declared.is_some_and(|len| len > MAX_BODY_LEN) => too_large(BODY_TOO_LARGE),
        BodyRule::Small => Ok(()),
    }
}

/// Reads a small body that declares no length, as far as it may go: what is behind it need not look for its end.
pub(super) async fn read_small(request: Request) -> Result<Request, Failure> {
    let is_small = {
        let (query, headers) = (Query::of(request.uri()), lines(request.headers()));
        let asked = Asked::of(&request, &query, &headers);
        asked.has(&header::TRANSFER_ENCODING) && matches!(BodyRule::of(&asked), BodyRule::Small)
    };
    if !is_small {
        return Ok(request);
    }
    let (head, body) = request.into_parts();
    let _watch = head.extensions.get().map(Patience::watch);
    let body = collect(body, MAX_BODY_LEN, BODY_TOO_LARGE).await?;
    Ok(Request::from_parts(head, body.into()))
}

/// Whether a request brings a body that is read as a stream. Where it is refused the rest is not read, so
/// its connection has to end.
pub(super) fn brings_stream(asked: &Asked<'_>) -> bool {
    matches!(BodyRule::of(asked), BodyRule::Any)
}

/// How much of a body a request may bring.
enum BodyRule {
    /// As much as there is: it is worked on a piece at a time.
    Any,
    /// As much JSON as is read into memory.
    Json,
    /// Hardly any.
    Small,
}

impl BodyRule {
    fn of(asked: &Asked<'_>) -> Self {
        match asked.path.strip_prefix("/api/rke/") {
            Some(path) if asked.method == Method::POST => match path {
                "encrypt" | "decrypt" | "seal" | "open" => {
                    match Kind::told_by(asked.all(&header::CONTENT_TYPE)) {
                        Ok(Kind::Json) => Self::Json,
                        // Whose kind is unclear is refused before its body is read.
                        Ok(Kind::Raw) | Err(_) => Self::Any,
                    }
                }
                path if path.starts_with("session/") && path.ends_with("/tunnel") => Self::Any,
                _ => Self::Small,
            },
            _ => Self::Small,
        }
    }
}

/// Whoever has passed the request on may have taken the other word for the length: what follows could be somebody else's.
fn unclear_length() -> Result<(), Refusal> {
    let message = "A request must declare the length of its body in one way: by Content-Length or by chunks";
    let mut refusal = Refusal::new(Rule::Size, StatusCode::BAD_REQUEST, message);
    refusal.failure = refusal.failure.closing();
    Err(refusal)
}

/// The body is not read, so nothing that follows it on the connection can be trusted to be a request.
fn too_large(message: &str) -> Result<(), Refusal> {
    let mut refusal = Refusal::new(Rule::Size, StatusCode::PAYLOAD_TOO_LARGE, message);
    refusal.failure = refusal.failure.closing();
    Err(refusal)
}

fn headers_len(headers: &[Header<'_>]) -> usize {
    headers.iter().map(|header| header.name.len() + header.value.len()).sum()
}

fn declared_len(asked: &Asked<'_>) -> Option<u64> {
    std::str::from_utf8(asked.first(&header::CONTENT_LENGTH)?).ok()?.parse().ok()
}
