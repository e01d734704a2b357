//! What a handshake needs before there are shares, got ready while the RAIDAs answer: an ephemeral key, and a connection.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;

use rke_proto::handshake::EphemeralKey;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::wide::server_of;
use super::{Discovered, Exchange};
use crate::server::{ContactError, connect};

/// All that is ready for a handshake with a Content Server.
pub(super) struct HeadStart {
    /// Where it is.
    pub(super) addresses: Vec<SocketAddr>,
    /// What the first of them is tried with.
    pub(super) first: First,
}

/// An ephemeral key, and a connection or why there is none.
pub(super) type First = Option<(EphemeralKey, io::Result<TcpStream>)>;

impl Exchange {
    /// Gets ready for a handshake. A first address that does not answer is no error: it counts as tried.
    pub(super) async fn head_start(&self, discovered: &Discovered) -> Result<HeadStart, ContactError> {
        let key = EphemeralKey::random()?;
        let addresses = self.addresses(&server_of(discovered)).await?;
        let Some(address) = addresses.first() else { return Ok(HeadStart { addresses, first: None }) };
        let connected = timeout(self.contact_timeout(), connect(&[*address])).await;
        let stream = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        Ok(HeadStart { addresses, first: Some((key, stream)) })
    }
}

/// Does `main`, and as much of `other` as comes to pass meanwhile.
pub(super) async fn alongside<T>(
    main: impl Future<Output = T>,
    mut other: Option<Pin<&mut impl Future>>,
) -> T {
    let mut main = pin!(main);
    poll_fn(|context| {
        let done = main.as_mut().poll(context);
        if let (Poll::Pending, Some(other)) = (&done, &mut other) {
            let _ = other.as_mut().poll(context);
        }
        done
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::future::maybe_done;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn the_other_gets_as_far_as_time_allows_and_is_not_waited_for() {
        let turn = tokio::task::yield_now();
        let mut other = pin!(maybe_done(async { 7 }));
        alongside(turn, Some(other.as_mut())).await;
        assert_eq!(other.as_mut().take_output(), Some(7));

        let mut slow = pin!(maybe_done(sleep(Duration::from_secs(3600))));
        assert_eq!(alongside(async { 8 }, Some(slow.as_mut())).await, 8);
        assert_eq!(alongside(async { 9 }, None::<Pin<&mut std::future::Pending<()>>>).await, 9);
        assert!(slow.as_mut().take_output().is_none());
    }
}
