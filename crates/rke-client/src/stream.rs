//! An answer of any size, a piece at a time.

use http_body_util::BodyExt;
use hyper::body::{Bytes, Incoming};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::Error;
use crate::connection::reason;
use crate::reading::Fault;

/// What the daemon sends, as it comes. It is whole only when [`Stream::piece`] has given `None`.
pub struct Stream {
    body: Incoming,
    fault: Fault,
}

impl Stream {
    pub(crate) fn new(body: Incoming, fault: Fault) -> Self {
        Self { body, fault }
    }

    /// The next piece, or `None` at the good end.
    ///
    /// # Errors
    /// [`Error::CutShort`] where the daemon broke off, [`Error::Input`] where the data that the answer is
    /// made of could not be read. Then all that came before must not be used.
    pub async fn piece(&mut self) -> Result<Option<Bytes>, Error> {
        while let Some(frame) = self.body.frame().await {
            let frame = frame.map_err(|error| match self.fault.take() {
                Some(error) => Error::Input(error),
                None => Error::CutShort { reason: reason(&error) },
            })?;
            if let Ok(data) = frame.into_data() {
                return Ok(Some(data));
            }
        }
        Ok(None)
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
