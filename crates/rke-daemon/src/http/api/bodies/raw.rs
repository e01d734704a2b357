//! Raw bodies: the data is the body and the rest is in headers. The answer's body is made of it while
//! it comes.

use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use base64_simd::STANDARD;
use rke_engine::model::session_id::SessionId;
use rke_engine::sessions::Nonce;
use rke_engine::store::KeyError;
use rke_engine::streams::{Counter, Direction, Opening, Sealing, StreamError, StreamKey, Work};

use super::Answered;
use super::streamed::{BodyError, Streamed};
use crate::http::api::Shared;
use crate::http::api::failure::Failure;
use crate::http::api::handlers::parse_id;
use crate::http::api::query::parse_nonce;
use crate::http::wire::body_timeout::BodyTimeout;

const SESSION: &str = "X-RKE-Session";
const NONCE: &str = "X-RKE-Nonce";
const ASSOCIATED_DATA: &str = "X-RKE-Associated-Data";

pub(super) async fn encrypt(sessions: Shared, request: Request) -> Answered {
    let (head, body) = request.into_parts();
    let named = Named::of(&head.headers)?;
    let encrypting = named.begin(sessions, Direction::Encrypt).and_then(Counter::encrypting);
    let (work, nonce) = encrypting.map_err(|error| named.failure(&error))?;
    let mut response = named.answer(&head, body, work).await?;
    let nonce = HeaderValue::from_str(&hex::encode(nonce)).map_err(|_| Failure::internal())?;
    response.headers_mut().insert(HeaderName::from_static("x-rke-nonce"), nonce);
    Ok(response)
}

pub(super) async fn decrypt(sessions: Shared, request: Request) -> Answered {
    let (head, body) = request.into_parts();
    let (named, nonce) = (Named::of(&head.headers)?, nonce(&head.headers)?);
    let key = named.begin(sessions, Direction::Decrypt).map_err(|error| named.failure(&error))?;
    named.answer(&head, body, Counter::new(key, nonce)).await
}

pub(super) async fn seal(sessions: Shared, request: Request) -> Answered {
    let (head, body) = request.into_parts();
    let (named, associated_data) = (Named::of(&head.headers)?, associated_data(&head.headers)?);
    let key = named.begin(sessions, Direction::Encrypt);
    let work = key.and_then(|key| Sealing::new(key, &associated_data));
    let work = work.map_err(|error| named.failure(&error))?;
    named.answer(&head, body, work).await
}

pub(super) async fn open(sessions: Shared, request: Request) -> Answered {
    let (head, body) = request.into_parts();
    let (named, associated_data) = (Named::of(&head.headers)?, associated_data(&head.headers)?);
    let key = named.begin(sessions, Direction::Decrypt).map_err(|error| named.failure(&error))?;
    named.answer(&head, body, Opening::new(key, associated_data)).await
}

/// The session that a request names: as it is written there, and the id if it can be one.
struct Named {
    given: String,
    id: Option<SessionId>,
}

impl Named {
    fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        let given = one(headers, SESSION)?.ok_or_else(|| Failure::missing_header(SESSION))?;
        Ok(Self { given: given.to_owned(), id: parse_id(given)? })
    }

    fn begin(&self, sessions: Shared, direction: Direction) -> Result<StreamKey, StreamError> {
        Ok(StreamKey::begin(sessions, self.id.ok_or(KeyError::NotFound)?, direction)?)
    }

    fn failure(&self, error: &StreamError) -> Failure {
        Failure::stream(error, &self.given)
    }

    /// The answer, once its first bytes are there: until then it can still be an error.
    async fn answer<W>(&self, head: &Parts, body: Body, work: W) -> Answered
    where
        W: Work + Send + Unpin + 'static,
    {
        let watch = head.extensions.get().map(BodyTimeout::watch);
        let begun = Streamed::begin(body, work, watch).await;
        let streamed = begun.map_err(|error| match error {
            BodyError::Stream(error) => self.failure(&error),
            BodyError::HungUp(_) => Failure::broken_body(),
        })?;
        let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
        Ok((kind, Body::new(streamed)).into_response())
    }
}

fn nonce(headers: &HeaderMap) -> Result<Nonce, Failure> {
    let nonce = one(headers, NONCE)?.and_then(parse_nonce);
    nonce.ok_or_else(|| Failure::invalid_header(NONCE, "32 hex chars"))
}

/// What the header says, or nothing where there is none: that is as good as an empty one.
fn associated_data(headers: &HeaderMap) -> Result<Vec<u8>, Failure> {
    let text = one(headers, ASSOCIATED_DATA)?.unwrap_or_default();
    STANDARD.decode_to_vec(text).map_err(|_| Failure::base64())
}

/// The one value of a header. `None` where there is none, or an empty one.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), second) = (values.next(), values.next()) else { return Ok(None) };
    if second.is_some() {
        return Err(Failure::invalid_header(name, "given once"));
    }
    let text = value.to_str().map_err(|_| Failure::invalid_header(name, "visible ASCII"))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}
