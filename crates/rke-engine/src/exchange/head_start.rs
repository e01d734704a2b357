//! What a handshake needs before there are shares, got ready while the RAIDAs answer: an ephemeral key, and a connection.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use rke_proto::handshake::EphemeralKey;
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::{Discovered, Exchange};
use crate::contact::Dialer;
use crate::contact::server::ContactError;
use crate::discovery::Candidate;

/// All that is ready for a handshake with a Content Server.
pub(super) struct HeadStart<'a> {
    pub(super) key: EphemeralKey,
    /// The first connection. `None` where nothing answered.
    pub(super) first: Option<(Candidate, TcpStream)>,
    /// What makes further ones.
    pub(super) dialer: Dialer<'a>,
}

/// What a head start has come to.
pub(super) type Ready<'a> = Result<HeadStart<'a>, ContactError>;

impl Exchange {
    /// Gets ready for a handshake. That nothing answers is no error: the handshake says it.
    pub(super) async fn head_start(&self, discovered: &Discovered) -> Result<HeadStart<'_>, ContactError> {
        let key = EphemeralKey::random()?;
        let mut dialer = self.dialer(self.discovery.candidates(&discovered.targets));
        let first = timeout_at(self.patience().all, dialer.next()).await.unwrap_or(None);
        Ok(HeadStart { key, first, dialer })
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
