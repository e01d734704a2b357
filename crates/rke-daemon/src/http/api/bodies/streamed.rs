//! A request's body that becomes the answer's, piece by piece. It is pulled by whoever sends the
//! answer: as long as the client takes nothing nothing is read either, and when it hangs up all of it
//! is dropped.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes, HttpBody};
use hyper::body::{Frame, SizeHint};
use rke_engine::streams::{Rest, StreamError, Work};

use crate::http::wire::body_timeout::Watch;

/// Why a stream was broken off.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    /// The work cannot go on.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The client has sent half a body.
    #[error("the client hung up: {0}")]
    HungUp(axum::Error),
}

/// A body that is worked on.
pub(super) struct Streamed<W> {
    body: Body,
    rest: Rest,
    /// What has come of the body and is not worked on yet.
    input: Bytes,
    work: W,
    /// The first piece of the answer, made before its head was sent.
    first: Option<Bytes>,
    /// Bytes of the answer that are still to come, where that is known.
    left: Option<u64>,
    _watch: Option<Watch>,
}

impl<W: Work + Unpin> Streamed<W> {
    /// Begins the work. What this gives has its first piece already, so what is wrong from the start
    /// becomes an error here. The first look at the body has the client send it, where it waits.
    ///
    /// # Errors
    /// [`BodyError`].
    pub(super) async fn begin(body: Body, work: W, watch: Option<Watch>) -> Result<Self, BodyError> {
        let left = body.size_hint().exact().and_then(|len| work.output_len(len));
        let (rest, input) = (Rest::Follows, Bytes::new());
        let mut streamed = Self { body, rest, input, work, first: None, left, _watch: watch };
        std::future::poll_fn(|cx| streamed.poll_input(cx)).await?;
        streamed.first = std::future::poll_fn(|cx| streamed.poll_output(cx)).await?;
        if let Some(watch) = &streamed._watch {
            watch.answered();
        }
        Ok(streamed)
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
            Some(Ok(frame)) => self.input = frame.into_data().unwrap_or_default(),
            Some(Err(error)) => return Poll::Ready(Err(BodyError::HungUp(error))),
            None => self.rest = Rest::Ended,
        }
        Poll::Ready(Ok(()))
    }

    fn poll_output(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, BodyError>> {
        loop {
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

    /// Where the length is known the answer declares it, and a client of any kind sees when it is cut
    /// short.
    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
