//! Raw bodies: the body is the data, and headers carry the rest. The response's body is made from it as it arrives.

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use base64_simd::STANDARD;
use http_body_util::BodyExt;
use rke_engine::sessions::Nonce;
use rke_engine::store::KeyError;
use rke_host::streams::{Counter, Direction, Opening, Sealing, StreamError, Work};

use super::Answered;
use super::late_reader::{Delivery, MAX_HELD_LEN};
use super::streamed::{BodyError, Streamed};
use crate::http::api::end::{Bringer, End};
use crate::http::api::named::Named;
use crate::http::message::body::MAX_JSON_LEN;
use crate::http::message::body_timeout::BodyTimeout;
use crate::http::message::failure::Failure;
use crate::http::message::query::parse_nonce;

const SESSION: &str = "X-RKE-Session";
const NONCE: &str = "X-RKE-Nonce";
const ASSOCIATED_DATA: &str = "X-RKE-Associated-Data";

pub(super) async fn encrypt(end: &impl End, request: Request) -> Answered {
    let (head, mut body) = request.into_parts();
    let named = named(&head, &mut body).await?;
    let delivery = Delivery::of(&head, &body)?;
    let encrypting = named.begin(end, Direction::Encrypt).await?;
    let (work, nonce) = Counter::encrypting(encrypting).map_err(|error| named.failure(&error))?;
    let body = Incoming { body, delivery, bringer: named.bringer(end, Direction::Encrypt) };
    let mut response = named.answer(&head, body, work).await?;
    let nonce = HeaderValue::from_str(&hex::encode(nonce)).map_err(|_| Failure::internal())?;
    response.headers_mut().insert(HeaderName::from_static("x-rke-nonce"), nonce);
    Ok(response)
}

pub(super) async fn decrypt(end: &impl End, request: Request) -> Answered {
    let (head, mut body) = request.into_parts();
    let (named, nonce) = (named(&head, &mut body).await?, nonce(&head.headers)?);
    let delivery = Delivery::of(&head, &body)?;
    let key = named.begin(end, Direction::Decrypt).await?;
    let body = Incoming { body, delivery, bringer: named.bringer(end, Direction::Decrypt) };
    named.answer(&head, body, Counter::new(key, nonce)).await
}

pub(super) async fn seal(end: &impl End, request: Request) -> Answered {
    let (head, mut body) = request.into_parts();
    let (named, associated_data) = (named(&head, &mut body).await?, associated_data(&head.headers)?);
    let delivery = Delivery::of(&head, &body)?;
    let key = named.begin(end, Direction::Encrypt).await?;
    let work = Sealing::new(key, &associated_data).map_err(|error| named.failure(&error))?;
    let body = Incoming { body, delivery, bringer: named.bringer(end, Direction::Encrypt) };
    named.answer(&head, body, work).await
}

pub(super) async fn open(end: &impl End, request: Request) -> Answered {
    let (head, mut body) = request.into_parts();
    let (named, associated_data) = (named(&head, &mut body).await?, associated_data(&head.headers)?);
    let delivery = Delivery::of(&head, &body)?;
    let key = named.begin(end, Direction::Decrypt).await?;
    let body = Incoming { body, delivery, bringer: named.bringer(end, Direction::Decrypt) };
    named.answer(&head, body, Opening::new(key, associated_data)).await
}

/// The session that the headers name.
async fn named<'a>(head: &'a Parts, body: &mut Body) -> Result<Named<'a>, Failure> {
    match one(&head.headers, SESSION)? {
        Some(id) => Named::new(id),
        None if is_like_json(head, body).await? => Err(Failure::json_as_raw(SESSION)),
        None => Err(Failure::missing_header(SESSION)),
    }
}

/// Whether a body begins like a JSON object. Only one that is on its way is looked at: it declares its length, is no longer
/// than JSON may be, and waits for no leave.
async fn is_like_json(head: &Parts, body: &mut Body) -> Result<bool, Failure> {
    let is_short = body.size_hint().exact().is_some_and(|len| len <= MAX_JSON_LEN);
    if !is_short || head.headers.contains_key(header::EXPECT) {
        return Ok(false);
    }
    let first = BodyTimeout::watch(&head.extensions).in_time(body.frame()).await?;
    let first = first.and_then(Result::ok).and_then(|frame| frame.into_data().ok());
    Ok(first.is_some_and(|data| data.trim_ascii_start().starts_with(b"{")))
}

/// A body, how its response is delivered, and what has to be waited for before each piece of it.
struct Incoming {
    body: Body,
    delivery: Delivery,
    bringer: Option<Bringer>,
}

impl Named<'_> {
    async fn begin<E: End>(&self, end: &E, direction: Direction) -> Result<E::Key, Failure> {
        self.bring(end, direction.first_use()).await?;
        let key = self.id.ok_or(KeyError::NotFound).and_then(|id| end.begin(id, direction));
        key.map_err(|error| Failure::key(error, &self.given))
    }

    fn bringer(&self, end: &impl End, direction: Direction) -> Option<Bringer> {
        end.bringer(self.id?, direction)
    }

    fn failure(&self, error: &StreamError) -> Failure {
        Failure::stream(error, &self.given)
    }

    /// The response, once its first bytes exist, or all of it where it is held. Until then it can still become an error.
    async fn answer<W>(&self, head: &Parts, incoming: Incoming, work: W) -> Answered
    where
        W: Work + Send + Unpin + 'static,
    {
        let failure = |error| match error {
            BodyError::Stream(error) => self.failure(&error),
            BodyError::Store(error) => Failure::use_of_session(&error, &self.given),
            BodyError::Incomplete(incomplete) => incomplete.into(),
        };
        let watch = BodyTimeout::watch(&head.extensions);
        let Incoming { body, delivery, bringer } = incoming;
        let streamed = watch.in_time(Streamed::begin(body, work, bringer)).await?.map_err(failure)?;
        let body = match delivery {
            Delivery::Streamed => Body::new(streamed.answered(watch)),
            Delivery::Held(reader) => {
                let whole = watch.in_time(streamed.hold(MAX_HELD_LEN)).await?.map_err(failure)?;
                whole.ok_or_else(|| reader.held_too_long())?.into()
            }
        };
        Ok(([(header::CONTENT_TYPE, "application/octet-stream")], body).into_response())
    }
}

fn nonce(headers: &HeaderMap) -> Result<Nonce, Failure> {
    let nonce = one(headers, NONCE)?.and_then(parse_nonce);
    nonce.ok_or_else(|| Failure::invalid_header(NONCE, "32 hex chars"))
}

/// The associated data in the header. A missing header counts as an empty one.
fn associated_data(headers: &HeaderMap) -> Result<Vec<u8>, Failure> {
    let text = one(headers, ASSOCIATED_DATA)?.unwrap_or_default();
    STANDARD.decode_to_vec(text).map_err(|_| Failure::base64())
}

/// The only value of a header. `None` if the header is missing or empty.
fn one<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a str>, Failure> {
    let mut values = headers.get_all(name).iter();
    let (Some(value), second) = (values.next(), values.next()) else { return Ok(None) };
    if second.is_some() {
        return Err(Failure::invalid_header(name, "given once"));
    }
    let text = value.to_str().map_err(|_| Failure::invalid_header(name, "visible ASCII"))?;
    Ok(Some(text).filter(|text| !text.is_empty()))
}
