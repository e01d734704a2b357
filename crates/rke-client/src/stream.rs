//! An answer of any size, a piece at a time.

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderMap, TRAILER};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::Error;
use crate::connection::reason;
use crate::reading::Fault;

/// The trailer with the exit status of the command behind a tunnel.
const EXIT_STATUS: &str = "rke-exit-status";

/// What the daemon sends, as it comes. It is whole only when [`Stream::piece`] has given `None`.
pub struct Stream {
    body: Incoming,
    fault: Fault,
    status: ExitStatus,
}

/// How a command behind a tunnel has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExitStatus {
    /// The response has none.
    None,
    /// The response must not end without it.
    Awaited,
    Known(i32),
}

impl ExitStatus {
    /// Where the head of a response announces it.
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

    /// What the end of the response is.
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

    /// The exit status of the command behind a tunnel, at the end of the stream. `None` before the end, and where
    /// nothing has one: over narrow shares even the end of a tunnel is not certain.
    pub fn exit_status(&self) -> Option<i32> {
        match self.status {
            ExitStatus::Known(status) => Some(status),
            ExitStatus::None | ExitStatus::Awaited => None,
        }
    }

    /// The next piece, or `None` at the good end.
    ///
    /// # Errors
    /// [`Error::CutShort`] where the daemon broke off, [`Error::Input`] where the data that the answer is
    /// made of could not be read. Then all that came before must not be used. [`Error::CommandFailed`] in place of the
    /// end of a tunnel whose command has ended with another exit status than 0.
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

    /// Writes all of it somewhere, and gives the number of bytes.
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

    /// All of it.
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
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    fn of(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name.parse().expect("a name"), HeaderValue::from_static(value))])
    }

    #[test]
    fn an_exit_status_that_was_announced_must_come() {
        for (announced, trailer, status, is_end) in [
            ("RKE-Exit-Status", "0", Some(0), true),
            ("Expires, rke-exit-status", "0", Some(0), true),
            ("RKE-Exit-Status", "3", Some(3), false),
            ("RKE-Exit-Status", "-1", Some(-1), false),
            ("RKE-Exit-Status", "much", None, false),
            ("Expires", "3", None, true),
        ] {
            let mut known = ExitStatus::announced(&of("trailer", announced));
            assert_eq!(known.at_the_end().is_ok(), announced == "Expires", "{announced}");
            known.note(&of("rke-exit-status", trailer));
            assert_eq!(known.at_the_end().is_ok(), is_end, "{announced} {trailer}");
            assert_eq!(known == ExitStatus::Known(status.unwrap_or(7)), status.is_some());
        }
    }
}
