//! Request data, read as the daemon takes it: only one piece is in memory at a time.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame};
use tokio::io::{AsyncRead, ReadBuf};

/// Bytes in a piece.
const PIECE_LEN: usize = 64 * 1024;

/// A request body that is read from a reader.
pub(crate) struct Reading<R> {
    from: R,
    piece: Box<[u8]>,
    fault: Fault,
}

/// The error of the reader. HTTP itself only shows that the request was aborted.
#[derive(Clone, Default)]
pub(crate) struct Fault(Arc<Mutex<Option<io::Error>>>);

impl Fault {
    pub(crate) fn take(&self) -> Option<io::Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, error: io::Error) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

impl<R> Reading<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, piece: vec![0; PIECE_LEN].into(), fault: Fault::default() }
    }

    pub(crate) fn fault(&self) -> Fault {
        self.fault.clone()
    }
}

impl<R: AsyncRead + Unpin> Body for Reading<R> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        let mut piece = ReadBuf::new(&mut this.piece);
        if let Err(error) = ready!(Pin::new(&mut this.from).poll_read(cx, &mut piece)) {
            let kind = error.kind();
            this.fault.set(error);
            return Poll::Ready(Some(Err(kind.into())));
        }
        let read = piece.filled();
        Poll::Ready((!read.is_empty()).then(|| Ok(Frame::data(Bytes::copy_from_slice(read)))))
    }
}
