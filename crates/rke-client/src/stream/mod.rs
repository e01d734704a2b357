//! A response of any size, piece by piece.

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, TRAILER};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::Error;
use crate::connection::reason;
use crate::reading::Fault;

/// The trailer with the exit status of the command behind a tunnel.
const EXIT_STATUS: &str = "rke-exit-status";

/// A response body as it arrives. It is complete only once [`Stream::piece`] has returned `None`.
pub struct Stream {
    body: Incoming,
    fault: Fault,
    status: ExitStatus,
}

/// The exit status of the command behind a tunnel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExitStatus {
    /// The response announces none.
    None,
    /// The response announces it: an end without it is a cut.
    Awaited,
    Known(i32),
}

impl ExitStatus {
    /// Reads whether the head of a response announces an exit status.
    fn announced(head: &HeaderMap) -> Self {
        let values = head.get_all(TRAILER).iter().filter_map(|value| value.to_str().ok());
        let mut names = values.flat_map(|value| value.split(','));
        match names.any(|name| name.trim().eq_ignore_ascii_case(EXIT_STATUS)) {
            true => Self::Awaited,
            false => Self::None,
        }
    }

    fn note(&mut self, trailers: &HeaderMap) {
        let status = trailers.get(EXIT_STATUS).and_then(|value| value.to_str().ok()?.parse().ok());
        if let (Self::Awaited, Some(status)) = (*self, status) {
            *self = Self::Known(status);
        }
    }

    /// Whether this end of the response is a success.
    fn at_the_end(self) -> Result<(), Error> {
        match self {
            Self::None | Self::Known(0) => Ok(()),
            Self::Known(status) => Err(Error::CommandFailed { status }),
            Self::Awaited => Err(Error::CutShort {
                reason: "its end says nothing about the command behind the tunnel".into(),
            }),
        }
    }
}

impl Stream {
    pub(crate) fn new(head: &HeaderMap, body: Incoming, fault: Fault) -> Self {
        Self { body, fault, status: ExitStatus::announced(head) }
    }

    /// The exit status of the command behind a tunnel, at the end of the stream. `None` before the end, and for a
    /// session with narrow shares, which cannot even prove that the data is complete.
    pub fn exit_status(&self) -> Option<i32> {
        match self.status {
            ExitStatus::Known(status) => Some(status),
            ExitStatus::None | ExitStatus::Awaited => None,
        }
    }

    /// The next piece, or `None` at a successful end.
    ///
    /// # Errors
    /// [`Error::CutShort`] if the daemon aborts the response, [`Error::Input`] if the data to send cannot be read. In
    /// both cases, discard everything received before. [`Error::CommandFailed`] in place of the end of a tunnel whose
    /// command failed.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| match self.fault.take() {
                Some(error) => Error::Input(error),
                None => Error::CutShort { reason: reason(&error) },
            })?;
            match frame.into_data() {
                Ok(data) => return Ok(Some(data)),
                Err(frame) => {
                    frame.trailers_ref().into_iter().for_each(|trailers| self.status.note(trailers))
                }
            }
        }
        self.status.at_the_end().map(|()| None)
    }

    /// Writes everything to `to` and returns the number of bytes.
    ///
    /// # Errors
    /// As [`Stream::piece`], and [`Error::Output`].
    pub async fn copy_to<W: AsyncWrite + Unpin>(mut self, to: &mut W) -> Result<u64, Error> {
        let mut written = 0;
        while let Some(piece) = self.piece().await? {
            to.write_all(&piece).await.map_err(Error::Output)?;
            written += piece.len() as u64;
        }
        to.flush().await.map_err(Error::Output)?;
        Ok(written)
    }

    /// Reads everything into memory.
    ///
    /// # Errors
    /// As [`Stream::piece`].
    pub async fn into_vec(self) -> Result<Vec<u8>, Error> {
        let mut data = Vec::new();
        self.copy_to(&mut data).await?;
        Ok(data)
    }
}

#[cfg(test)]
mod tests;
