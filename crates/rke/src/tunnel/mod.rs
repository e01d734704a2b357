//! Tunnels for `rke connect` and `rke forward`: the data goes to the daemon, which has the key. A tunnel is opened before
//! anything of the data is read, so that another session can take the place of one that has ended.

mod supply;

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use anyhow::Result;
use rke_client::{Client, Error, Stream, call};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::oneshot;

pub(crate) use self::supply::Supply;
use crate::words::in_words;

/// An open tunnel.
pub(crate) struct Tunnel {
    /// What the Content Server sends.
    pub(crate) stream: Stream,
    /// Succeeds once all of the data has been read and sent. Fails if it never will be, because the tunnel was cut.
    pub(crate) sent: oneshot::Receiver<()>,
    /// Its session's id.
    session: String,
}

/// Opens a tunnel for data. `data` is called for each attempt; what it returned before has not been read then.
///
/// # Errors
/// Those of [`Supply::session`] and of the daemon.
pub(crate) async fn open<R>(supply: &Supply, data: impl Fn() -> R) -> Result<Tunnel>
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let session = supply.session().await?;
    match attempt(supply.client(), session.clone(), data()).await {
        Err(Error::SessionGone(_) | Error::FreshKeyNeeded(_)) if supply.replace(&session).await => {
            Ok(attempt(supply.client(), supply.session().await?, data()).await?)
        }
        opened => Ok(opened?),
    }
}

async fn attempt<R>(client: &Client, session: String, data: R) -> Result<Tunnel, Error>
where
    R: AsyncRead + Unpin + Send + 'static,
{
    let ((open, gate), (done, sent)) = (oneshot::channel(), oneshot::channel());
    let upload = Upload { gate: Some(gate), data, done: Some(done) };
    let stream = client.tunnel(&session, upload).await?;
    let _ = open.send(());
    Ok(Tunnel { stream, sent, session })
}

/// Data that is read once the tunnel is open.
struct Upload<R> {
    /// `None` once the tunnel is open.
    gate: Option<oneshot::Receiver<()>>,
    data: R,
    /// `None` once all of it has been read.
    done: Option<oneshot::Sender<()>>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Upload<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(gate) = &mut self.gate {
            let opened = ready!(Pin::new(gate).poll(cx));
            opened.map_err(|_| io::Error::from(ErrorKind::ConnectionAborted))?;
            self.gate = None;
        }
        // Without room, nothing read would look like the end.
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.data).poll_read(cx, buffer))?;
        if buffer.filled().len() == before
            && let Some(done) = self.done.take()
        {
            let _ = done.send(());
        }
        Poll::Ready(Ok(()))
    }
}

impl Tunnel {
    /// Describes in one line why it failed.
    pub(crate) async fn describe(&self, error: &Error, client: &Client) -> String {
        match error {
            Error::CutShort { .. } => format!(
                "the tunnel was cut before its end: {}; what arrived is incomplete",
                cause(client, &self.session).await
            ),
            error => error.to_string(),
        }
    }
}

/// Describes in one line why there is no tunnel, and what to do about it.
pub(crate) fn in_one_line(error: &anyhow::Error) -> String {
    match error.downcast_ref() {
        Some(
            error @ (Error::NoDaemon { .. }
            | Error::Silent { .. }
            | Error::Token { .. }
            | Error::TokenRejected { .. }
            | Error::SessionGone(_)),
        ) => format!("{error}; {}", error.remedy()),
        _ => in_words(error).replace('\n', ";"),
    }
}

/// Why a tunnel was cut. A response that breaks off has no room for a reason, so the daemon is asked for it
/// afterwards.
async fn cause(client: &Client, session: &str) -> String {
    match client.ask(&call::show(session)).await {
        Ok(shown) => match shown.tunnel_broken_off {
            Some(reason) => format!("the Content Server says: {reason}"),
            None => {
                "the Content Server or the connection to it broke off (the daemon's log says which)".into()
            }
        },
        Err(Error::SessionGone(_)) => "the session was deleted or has expired".into(),
        Err(_) => "the daemon has stopped".into(),
    }
}
