//! How a connection is cut: the reasons, what the other end learns, and what causes a cut at this end.

use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rke_host::framing::{RecordIoError, RecordReader, RecordWriter};
use rke_proto::DecodeError;
use rke_proto::handshake::{BreakCode, KeyId};
use rke_shared_store::StoreError;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::ServerContext;
use crate::content_server::application::StartError;
use crate::content_server::reception::{EndWatcher, Ending};
use crate::content_server::sharing::NotEstablished;

/// How long the other end may take to accept the last record. A stop and a `forget` wait for it.
const LAST_RECORD_LIMIT: Duration = Duration::from_millis(500);

/// How long a connection is read to its end after the last record, which would be lost if the socket closed with
/// unread data.
pub(super) const DRAIN_LIMIT: Duration = Duration::from_secs(1);

/// The shortest interval between two recorded uses of a session's key.
const TOUCH_INTERVAL: Duration = Duration::from_secs(1);

/// Why a connection is over before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    /// The other end aborted it, or the network failed.
    #[error(transparent)]
    Connection(#[from] RecordIoError),
    /// The other end aborted it.
    #[error("the client broke it off")]
    ByTheClient,
    /// The client closed its direction after its end, which a client that still waits for the response does not do.
    #[error("the client closed the connection before the end of the response")]
    Abandoned,
    /// The session's key was removed.
    #[error("{}", ending_text(*.0))]
    Key(Ending),
    /// The server is shutting down.
    #[error("the Content Server stops")]
    Stopping,
    /// No data moved within the idle limit.
    #[error("nothing has moved for {} seconds", .0.as_secs())]
    Idle(Duration),
    /// The application cannot be started.
    #[error("the Content Server's application failed to start")]
    NoApplication(#[source] io::Error),
    /// The application cannot be connected to. The client does not learn where it is.
    #[error("the application behind the Content Server cannot be reached: {}", unreachable_text(.0))]
    Unreachable(io::Error),
    /// The application reset its connection, or its output cannot be read.
    #[error("the application behind the Content Server broke its connection off")]
    ByTheApplication(#[source] io::Error),
    /// The limit on commands is reached.
    #[error(transparent)]
    TooManyCommands(StartError),
    /// The client sent data on a connection that carries none.
    #[error("a connection that opens a session carries no data")]
    NotForData,
    /// The store that instances share cannot be used, so a session could not be kept.
    #[error("the Content Server cannot reach what it shares with others; try again")]
    Store(#[source] StoreError),
    /// What arrived for an application that is given keys is not a message for it.
    #[error("the client sent something else than the messages that renew a key")]
    Malformed(#[source] DecodeError),
}

rke_host::kinds! {
    /// Why a connection is cut, for the metrics.
    pub(super) CutReason as "reason" {
        Connection = "connection",
        ByTheClient = "by_the_client",
        Abandoned = "abandoned",
        Deleted = "deleted",
        Expired = "expired",
        Evicted = "evicted",
        NotHeld = "not_held",
        Store = "store",
        Stopping = "stopping",
        Idle = "idle",
        NoApplication = "no_application",
        Unreachable = "unreachable",
        ByTheApplication = "by_the_application",
        TooManyCommands = "too_many_commands",
        NotForData = "not_for_data",
        Malformed = "malformed",
    }
}

fn ending_text(ending: Ending) -> &'static str {
    match ending {
        Ending::Deleted => "the session was deleted",
        Ending::Expired => "the session has expired",
        Ending::Evicted => {
            "the session's key had been unused for longest, and the Content Server needed the room for another"
        }
        Ending::NotHeld => {
            "the Content Server could not confirm in time that the session still exists; connect again"
        }
    }
}

fn unreachable_text(error: &io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::ConnectionRefused => "it refuses connections",
        ErrorKind::TimedOut => "it does not respond",
        _ => "no connection to it is possible",
    }
}

impl From<StartError> for Cut {
    fn from(error: StartError) -> Self {
        match error {
            StartError::TooMany => Self::TooManyCommands(error),
            StartError::OnlyKeys => Self::NoApplication(io::Error::other(error)),
            StartError::System(error) => Self::NoApplication(error),
            StartError::Unreachable { source, .. } => Self::Unreachable(source),
        }
    }
}

impl From<NotEstablished> for Cut {
    fn from(why: NotEstablished) -> Self {
        match why {
            NotEstablished::Ended(ending) => Self::Key(ending),
            NotEstablished::Store(error) => Self::Store(error),
        }
    }
}

impl Cut {
    pub(super) fn reason(&self) -> CutReason {
        match self {
            Self::Connection(_) => CutReason::Connection,
            Self::ByTheClient => CutReason::ByTheClient,
            Self::Abandoned => CutReason::Abandoned,
            Self::Key(Ending::Deleted) => CutReason::Deleted,
            Self::Key(Ending::Expired) => CutReason::Expired,
            Self::Key(Ending::Evicted) => CutReason::Evicted,
            Self::Key(Ending::NotHeld) => CutReason::NotHeld,
            Self::Store(_) => CutReason::Store,
            Self::Stopping => CutReason::Stopping,
            Self::Idle(_) => CutReason::Idle,
            Self::NoApplication(_) => CutReason::NoApplication,
            Self::Unreachable(_) => CutReason::Unreachable,
            Self::ByTheApplication(_) => CutReason::ByTheApplication,
            Self::TooManyCommands(_) => CutReason::TooManyCommands,
            Self::NotForData => CutReason::NotForData,
            Self::Malformed(_) => CutReason::Malformed,
        }
    }

    /// What the other end is told. `None` if it knows already or cannot be reached.
    fn code(&self) -> Option<BreakCode> {
        Some(match self {
            Self::Connection(_) | Self::ByTheClient => return None,
            Self::Key(Ending::Deleted) => BreakCode::Deleted,
            Self::Key(Ending::Expired) => BreakCode::Expired,
            Self::Key(Ending::Evicted | Ending::NotHeld)
            | Self::Store(_)
            | Self::NotForData
            | Self::Malformed(_)
            | Self::TooManyCommands(_)
            | Self::Abandoned
            | Self::ByTheApplication(_) => BreakCode::Other,
            Self::Stopping => BreakCode::Stopping,
            Self::Idle(_) => BreakCode::Idle,
            Self::NoApplication(_) | Self::Unreachable(_) => BreakCode::NoApplication,
        })
    }

    /// Sends the reason to the other end, within a time limit.
    pub(super) async fn send_to(&self, writer: &mut RecordWriter<impl AsyncWrite + Unpin>) {
        if let Some(code) = self.code() {
            let _ = timeout(LAST_RECORD_LIMIT, writer.break_off(code, &self.to_string())).await;
        }
    }
}

/// Sends the last record on a connection, within a time limit.
///
/// # Errors
/// The error of the connection.
pub(super) async fn send_last(record: impl Future<Output = Result<(), RecordIoError>>) -> io::Result<()> {
    timeout(LAST_RECORD_LIMIT, record).await?.map_err(io::Error::other)
}

/// Closes one direction and reads the other to its end, within a time limit.
pub(super) async fn close(
    reader: &mut RecordReader<impl AsyncRead + Unpin>,
    writer: &mut RecordWriter<impl AsyncWrite + Unpin>,
) {
    let _ = writer.close().await;
    let _ = timeout(DRAIN_LIMIT, reader.drain()).await;
}

/// Waits until the server is told to shut down.
pub(super) async fn stopping(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// When data last moved on a connection.
pub(super) struct Activity<'a> {
    shared: &'a ServerContext,
    /// The key whose use it is.
    key_id: Option<KeyId>,
    begin: Instant,
    /// Milliseconds after `begin`.
    last: AtomicU64,
    touched: AtomicU64,
}

impl<'a> Activity<'a> {
    pub(super) fn new(shared: &'a ServerContext, key_id: Option<KeyId>) -> Self {
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

    /// Fails if the key may not be used at this moment. A process that was stopped for a while must not go on before it knows.
    pub(super) fn check(&self) -> Result<(), Cut> {
        match (&self.shared.sharing, &self.key_id) {
            (Some(sharing), Some(key_id)) if !sharing.is_held(key_id) => Err(Cut::Key(Ending::NotHeld)),
            _ => Ok(()),
        }
    }

    /// Waits for anything that cuts the connection from this end.
    pub(super) async fn wait_for_cut(&self, watcher: &mut EndWatcher) -> Cut {
        tokio::select! {
            biased;
            ending = watcher.wait() => Cut::Key(ending),
            () = stopping(self.shared.stop.clone()) => Cut::Stopping,
            () = self.idle() => Cut::Idle(self.shared.idle_timeout()),
        }
    }

    async fn idle(&self) {
        loop {
            let last = self.last.load(Ordering::Relaxed);
            sleep_until(self.begin + Duration::from_millis(last) + self.shared.idle_timeout()).await;
            if self.last.load(Ordering::Relaxed) == last {
                return;
            }
        }
    }
}
