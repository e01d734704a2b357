//! A TCP connection to an application that must not take a cut for an end. It closes with a reset unless both of its
//! directions have ended, whatever closes it: halves that are dropped, a panic, or the kernel after `kill -9`.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use rustix::net::sockopt::set_socket_linger;
use rustix::net::{Shutdown, shutdown};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The two halves of a connection. A half that is dropped closes nothing: the connection closes with the last of them.
///
/// # Errors
/// The system's error.
pub fn halves(stream: TcpStream) -> io::Result<(Incoming, Outgoing)> {
    stream.set_nodelay(true)?;
    stream.set_zero_linger()?;
    let connection =
        Arc::new(Connection { stream, incoming: Direction::default(), outgoing: Direction::default() });
    Ok((Incoming(Arc::clone(&connection)), Outgoing(connection)))
}

/// The direction from the application. A clone reads what the others have not read.
#[derive(Clone)]
pub struct Incoming(Arc<Connection>);

/// The direction to the application. [`tokio::io::AsyncWriteExt::shutdown`] ends it.
pub struct Outgoing(Arc<Connection>);

struct Connection {
    stream: TcpStream,
    incoming: Direction,
    outgoing: Direction,
}

/// Whether a direction has ended.
#[derive(Default)]
struct Direction(AtomicBool);

impl Connection {
    /// Notes the end of a direction. After the second one, what is still to be sent must arrive before the connection closes.
    fn end(&self, direction: &Direction) -> io::Result<()> {
        direction.0.store(true, Ordering::SeqCst);
        match [&self.incoming, &self.outgoing].iter().all(|direction| direction.0.load(Ordering::SeqCst)) {
            true => Ok(set_socket_linger(&self.stream, None)?),
            false => Ok(()),
        }
    }
}

impl AsyncRead for Incoming {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let connection = &self.0;
        // Without room, nothing read would look like the end.
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            ready!(connection.stream.poll_read_ready(cx))?;
            match connection.stream.try_read(buffer.initialize_unfilled()) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                Err(error) => return Poll::Ready(Err(error)),
                Ok(0) => return Poll::Ready(connection.end(&connection.incoming)),
                Ok(len) => {
                    buffer.advance(len);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Outgoing {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.0.stream.poll_write_ready(cx))?;
            match self.0.stream.try_write(data) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => (),
                written => return Poll::Ready(written),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let connection = &self.0;
        let ended = shutdown(&connection.stream, Shutdown::Write).map_err(io::Error::from);
        Poll::Ready(ended.and_then(|()| connection.end(&connection.outgoing)))
    }
}

#[cfg(test)]
mod tests;
