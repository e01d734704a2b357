//! What a handshake needs before the shares arrive, prepared while the RAIDAs respond: an ephemeral key, and a
//! connection.

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

/// Everything that is ready for a handshake with a Content Server.
pub(super) struct HeadStart<'a> {
    pub(super) key: EphemeralKey,
    /// The first connection. `None` if nothing responded.
    pub(super) first: Option<(Candidate, TcpStream)>,
    /// Makes further connections.
    pub(super) dialer: Dialer<'a>,
}

/// The result of a head start.
pub(super) type Ready<'a> = Result<HeadStart<'a>, ContactError>;

impl Exchange {
    /// Prepares a handshake. A missing response is not an error here: the handshake reports it.
    pub(super) async fn head_start(&self, discovered: &Discovered) -> Result<HeadStart<'_>, ContactError> {
        let key = EphemeralKey::random()?;
        let mut dialer = self.dialer(self.discovery.candidates(&discovered.targets));
        let first = timeout_at(self.time_limits().all, dialer.next()).await.unwrap_or(None);
        Ok(HeadStart { key, first, dialer })
    }
}

/// Runs `main` to its end, and polls `other` alongside.
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
mod tests;
