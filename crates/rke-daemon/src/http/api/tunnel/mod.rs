//! `POST /api/rke/session/{id}/tunnel`: sends the request's body to the Content Server and returns its data, for as
//! long as both last. The response ends only if the Content Server has sent an end; anything else breaks it off.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Version, header};
use axum::response::{IntoResponse, Response};
use futures_util::TryStreamExt;
use hyper::body::Frame;
use rke_engine::contact::server::ContactError;
use rke_engine::tunnel::{self, Coming, TunnelError};
use tokio::sync::mpsc;
use tracing::{Instrument, Span};

use super::Shared;
use super::handlers::{NOT_FOUND_OR_EXPIRED, PathId, parse_id};
use crate::http::message::body::Incomplete;
use crate::http::message::body_timeout::BodyTimeout;
use crate::http::message::failure::Failure;

/// Pieces of data that may wait for the client to read them.
const WAITING: usize = 4;

/// The trailer with the exit status of the command at the other end of the tunnel.
const EXIT_STATUS: HeaderName = HeaderName::from_static("rke-exit-status");

pub(in crate::http) async fn connect(
    State(sessions): State<Shared>,
    PathId(id): PathId,
    Extension(body_timeout): Extension<BodyTimeout>,
    version: Version,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Failure> {
    let parsed = parse_id(&id)?.ok_or_else(|| Failure::session(NOT_FOUND_OR_EXPIRED, &id))?;
    if version < Version::HTTP_11 {
        return Err(too_old());
    }
    let tunnel = tunnel::open(Arc::clone(&sessions), parsed).await.map_err(|error| refusal(&error, &id))?;
    body_timeout.have_no_end();
    let (download, coming) = mpsc::channel(WAITING);
    let status = match tunnel.has_an_end() {
        true if takes_trailers(&headers) => Status::InTrailer,
        true => Status::MustBeZero,
        false => Status::None,
    };
    let upload = body.into_data_stream().map_err(|error| Incomplete::by(&error));
    tokio::spawn(tunnel.run(upload, download).instrument(Span::current()));
    let mut response = Body::new(Download { coming, status, stand: Stand::Open }).into_response();
    let octets = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, octets);
    if status == Status::InTrailer {
        response.headers_mut().insert(header::TRAILER, HeaderValue::from_static("RKE-Exit-Status"));
    }
    Ok(response)
}

/// Whether a client accepts trailers. hyper sends none to other clients.
fn takes_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::TE).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|coding| coding.trim().eq_ignore_ascii_case("trailers"))
}

/// How the client learns the exit status of the command at the other end of the tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    /// In a trailer.
    InTrailer,
    /// Any status other than 0 breaks off the response: what a command wrote before it failed may be incomplete.
    MustBeZero,
    /// Not at all, because a narrow tunnel has none.
    None,
}

/// Why a response has no end.
#[derive(Debug, thiserror::Error)]
#[error("the tunnel was cut, or its command failed")]
struct BrokenOff;

/// The body of the response.
struct Download {
    coming: mpsc::Receiver<Coming>,
    status: Status,
    stand: Stand,
}

/// The state of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Open,
    Ended,
    /// The response breaks off once earlier data is on its way.
    BreaksOff,
}

impl Download {
    /// Ends the response. Returns its trailer, if it has one.
    fn end(&mut self, status: i32) -> Option<Frame<Bytes>> {
        self.stand = Stand::Ended;
        let trailer = || Frame::trailers(HeaderMap::from_iter([(EXIT_STATUS, HeaderValue::from(status))]));
        (self.status == Status::InTrailer).then(trailer)
    }

    /// Lets hyper send what it has first, because an error would make it discard that.
    fn break_off<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.stand = Stand::BreaksOff;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl HttpBody for Download {
    type Data = Bytes;
    type Error = BrokenOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BrokenOff>>> {
        match self.stand {
            Stand::Open => (),
            Stand::Ended => return Poll::Ready(None),
            Stand::BreaksOff => return Poll::Ready(Some(Err(BrokenOff))),
        }
        match ready!(self.coming.poll_recv(cx)) {
            Some(Coming::Data(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
            Some(Coming::End(status)) => match status.unwrap_or(0) {
                status @ (i32::MIN..=-1 | 1..) if self.status == Status::MustBeZero => {
                    tracing::info!(
                        status,
                        "the command behind a tunnel failed, so its response is broken off"
                    );
                    self.break_off(cx)
                }
                status => Poll::Ready(self.end(status).map(Ok)),
            },
            None => self.break_off(cx),
        }
    }
}

/// 505: without chunks, a complete body and a cut one look the same.
fn too_old() -> Failure {
    let message = "A tunnel needs HTTP/1.1: an HTTP/1.0 response that is cut short looks complete";
    Failure::new(StatusCode::HTTP_VERSION_NOT_SUPPORTED, message).closing()
}

fn refusal(error: &TunnelError, id: &str) -> Failure {
    let status = match error {
        TunnelError::Key(error) => return Failure::key(*error, id),
        TunnelError::Store(error) => return Failure::use_of_session(error, id),
        TunnelError::ContentServer { reason: ContactError::Secret(_), .. } => {
            tracing::error!(%error, "a tunnel could not be opened");
            return Failure::internal();
        }
        TunnelError::Unconfirmed | TunnelError::KeyGone(_) => StatusCode::CONFLICT,
        TunnelError::ContentServer { .. } => StatusCode::BAD_GATEWAY,
    };
    Failure::new(status, error.to_string()).with("session_id", id)
}

#[cfg(test)]
mod tests;
