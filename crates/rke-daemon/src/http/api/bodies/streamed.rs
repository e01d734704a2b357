//! A request's body that becomes the response's body, piece by piece. Sending the response drives it: while the
//! client reads nothing, nothing is read from the client. When the client hangs up, everything is dropped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use futures_util::future::BoxFuture;
use hyper::body::{Frame, SizeHint};
use rke_engine::sessions::StoreError;
use rke_host::streams::{Rest, StreamError, Work};

use crate::http::api::end::Bringer;
use crate::http::message::body::Incomplete;
use crate::http::message::body_timeout::Watch;

/// Why a stream was broken off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The data cannot be processed.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The store that other machines share does not say that the session still exists.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The body has no end.
    #[error(transparent)]
    Incomplete(#[from] Incomplete),
}

/// A body that is being processed.
pub(super) struct Streamed<W> {
    body: Body,
    rest: Rest,
    /// How many bytes of the body have arrived.
    received: u64,
    /// Bytes of the body that have arrived but are not processed yet.
    input: Bytes,
    work: W,
    ready: Ready,
    /// The first piece of the response, made before the head was sent.
    first: Option<Bytes>,
    /// Bytes of the response still to come, if known.
    left: Option<u64>,
    /// From when the response begins until its last piece is taken.
    _watch: Option<Watch>,
}

impl<W: Work + Unpin> Streamed<W> {
    /// Starts the work and makes the first piece, so anything that is wrong from the start becomes an error here.
    /// Polling the body for the first time makes a client that waits for `100 Continue` send it.
    ///
    /// # Errors
    /// [`BodyError`].
    pub(super) async fn begin(body: Body, work: W, bringer: Option<Bringer>) -> Result<Self, BodyError> {
        let left = body.size_hint().exact().and_then(|len| work.output_len(len));
        let (rest, input) = (Rest::Follows, Bytes::new());
        let ready = Ready { bringer, coming: None };
        let mut streamed =
            Self { body, rest, received: 0, input, work, ready, first: None, left, _watch: None };
        std::future::poll_fn(|cx| streamed.poll_input(cx)).await?;
        streamed.first = std::future::poll_fn(|cx| streamed.poll_output(cx)).await?;
        Ok(streamed)
    }

    /// The same, when its response begins.
    pub(super) fn answered(self, watch: Watch) -> Self {
        watch.answered();
        Self { _watch: Some(watch), ..self }
    }

    /// The whole response, before any of it is sent. `None` if more than `most` bytes of the body arrive.
    ///
    /// # Errors
    /// [`BodyError`].
    pub(super) async fn hold(mut self, most: u64) -> Result<Option<Vec<u8>>, BodyError> {
        let (mut held, mut next) = (Vec::new(), self.first.take());
        while let Some(piece) = next {
            held.extend_from_slice(&piece);
            next = std::future::poll_fn(|cx| self.poll_output(cx)).await?;
            if self.received > most {
                return Ok(None);
            }
        }
        Ok(Some(held))
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => {
                self.input = frame.into_data().unwrap_or_default();
                self.received += self.input.len() as u64;
            }
            Some(Err(error)) => return Poll::Ready(Err(Incomplete::by(&error).into())),
            None => self.rest = Rest::Ended,
        }
        Poll::Ready(Ok(()))
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
            ready!(self.ready.poll(cx, self.input.len()))?;
            let mut left = &self.input[..];
            let piece = self.work.next(&mut left, self.rest)?;
            let taken = self.input.len() - left.len();
            drop(self.input.split_to(taken));
            match piece {
                Some(piece) if !piece.is_empty() => return Poll::Ready(Ok(Some(piece.into()))),
                Some(_) => (),
                None if self.rest == Rest::Ended => return Poll::Ready(Ok(None)),
                None => ready!(self.poll_input(cx))?,
            }
        }
    }
}

/// Whether a stream may use its session for another piece.
struct Ready {
    bringer: Option<Bringer>,
    coming: Option<BoxFuture<'static, Result<(), StoreError>>>,
}

impl Ready {
    /// Waits, only where other machines share the session, until it can be used for this many bytes.
    fn poll(&mut self, cx: &mut Context<'_>, len: usize) -> Poll<Result<(), StoreError>> {
        let Some(bringer) = &self.bringer else { return Poll::Ready(Ok(())) };
        let coming = self.coming.get_or_insert_with(|| bringer(len));
        let brought = ready!(coming.as_mut().poll(cx));
        self.coming = None;
        Poll::Ready(brought)
    }
}

impl<W: Work + Unpin> HttpBody for Streamed<W> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let piece = match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => ready!(self.poll_output(cx)),
        };
        if let Err(error) = &piece {
            tracing::warn!(%error, "a stream was broken off");
        }
        let sent = piece.as_ref().map_or(0, |piece| piece.as_ref().map_or(0, Bytes::len));
        self.left = self.left.map(|left| left.saturating_sub(sent as u64));
        Poll::Ready(piece.transpose().map(|piece| piece.map(Frame::data)))
    }

    /// If the length is known, the response declares it. Then every client notices a response that is cut short.
    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
