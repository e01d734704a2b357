//! How a connection is cut: why, what the other end hears, and what causes it at this end.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rke_host::framing::{RecordIoError, RecordReader, RecordWriter};
use rke_proto::handshake::{BreakCode, KeyId};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::Shared;
use crate::content_server::application::StartError;
use crate::content_server::reception::{Ending, OnLine};

/// How long the other end may take to accept the last record. Others wait for that: a stop, a `forget`.
const LAST_WORD_LIMIT: Duration = Duration::from_millis(500);

/// How long a connection is read to its end after the last word, which would be lost if it were closed with data unread.
pub(super) const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// A session's key is noted as used at most that often.
const TOUCH_INTERVAL: Duration = Duration::from_secs(1);

/// Why a connection is over before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    /// The other end broke it off, or the connection broke.
    #[error(transparent)]
    Connection(#[from] RecordIoError),
    /// The other end broke it off.
    #[error("the client broke it off")]
    ByTheClient,
    /// The client has closed its direction after its end, which nobody does who still waits for the other one's.
    #[error("the client closed the connection before the end of the response")]
    Abandoned,
    /// The session's key is gone.
    #[error("{}", ending_text(*.0))]
    Key(Ending),
    /// The server stops.
    #[error("the Content Server stops")]
    Stopping,
    /// Nothing has moved.
    #[error("nothing has moved for {} seconds", .0.as_secs())]
    Idle(Duration),
    /// The application cannot be started, or its output cannot be read.
    #[error("the Content Server's application failed to start")]
    NoApplication(#[source] io::Error),
    /// No more commands may run.
    #[error(transparent)]
    TooManyCommands(StartError),
    /// The client sent what this connection is not for.
    #[error("a connection that opens a session carries no data")]
    NotForData,
}

fn ending_text(ending: Ending) -> &'static str {
    match ending {
        Ending::Deleted => "the session was deleted",
        Ending::Expired => "the session has expired",
        Ending::GivenUp => {
            "the session's key had been unused for longest, and the Content Server needed the room for another"
        }
    }
}

impl From<StartError> for Cut {
    fn from(error: StartError) -> Self {
        match error {
            StartError::TooMany => Self::TooManyCommands(error),
            StartError::System(error) => Self::NoApplication(error),
        }
    }
}

impl Cut {
    /// What the other end hears. `None` where it knows, or cannot be reached.
    fn code(&self) -> Option<BreakCode> {
        Some(match self {
            Self::Connection(_) | Self::ByTheClient => return None,
            Self::Key(Ending::Deleted) => BreakCode::Deleted,
            Self::Key(Ending::Expired) => BreakCode::Expired,
            Self::Key(Ending::GivenUp) | Self::NotForData | Self::TooManyCommands(_) | Self::Abandoned => {
                BreakCode::Other
            }
            Self::Stopping => BreakCode::Stopping,
            Self::Idle(_) => BreakCode::Idle,
            Self::NoApplication(_) => BreakCode::NoApplication,
        })
    }

    /// Tells the other end, within a limit.
    pub(super) async fn tell(&self, writer: &mut RecordWriter<impl AsyncWrite + Unpin>) {
        if let Some(code) = self.code() {
            let _ = timeout(LAST_WORD_LIMIT, writer.break_off(code, &self.to_string())).await;
        }
    }
}

/// Says the last word on a connection, within a limit.
///
/// # Errors
/// What went wrong.
pub(super) async fn last(word: impl Future<Output = Result<(), RecordIoError>>) -> io::Result<()> {
    timeout(LAST_WORD_LIMIT, word).await?.map_err(io::Error::other)
}

/// Closes a direction and reads the other to its end, within a limit.
pub(super) async fn close(
    reader: &mut RecordReader<impl AsyncRead + Unpin>,
    writer: &mut RecordWriter<impl AsyncWrite + Unpin>,
) {
    let _ = writer.close().await;
    let _ = timeout(DRAIN_LIMIT, reader.drain()).await;
}

/// Waits until the server is told to stop.
pub(super) async fn stopping(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// When something last moved on a connection.
pub(super) struct Motion<'a> {
    shared: &'a Shared,
    /// Whose use it is.
    key_id: Option<KeyId>,
    begin: Instant,
    /// Milliseconds after `begin`.
    last: AtomicU64,
    touched: AtomicU64,
}

impl<'a> Motion<'a> {
    pub(super) fn new(shared: &'a Shared, key_id: Option<KeyId>) -> Self {
        Self { shared, key_id, begin: Instant::now(), last: AtomicU64::new(0), touched: AtomicU64::new(0) }
    }

    pub(super) fn note(&self) {
        let now = self.begin.elapsed();
        let millis = now.as_millis() as u64;
        self.last.store(millis, Ordering::Relaxed);
        let touched = Duration::from_millis(self.touched.load(Ordering::Relaxed));
        if let Some(key_id) = self.key_id.filter(|_| now >= touched + TOUCH_INTERVAL) {
            self.touched.store(millis, Ordering::Relaxed);
            self.shared.reception().touch(&key_id);
        }
    }

    /// Waits for what cuts the connection from this end.
    pub(super) async fn cut(&self, line: &mut OnLine) -> Cut {
        tokio::select! {
            biased;
            ending = line.ended() => Cut::Key(ending),
            () = stopping(self.shared.stop.clone()) => Cut::Stopping,
            () = self.idle() => Cut::Idle(self.shared.idle_timeout),
        }
    }

    async fn idle(&self) {
        loop {
            let last = self.last.load(Ordering::Relaxed);
            sleep_until(self.begin + Duration::from_millis(last) + self.shared.idle_timeout).await;
            if self.last.load(Ordering::Relaxed) == last {
                return;
            }
        }
    }
}
