//! The audit log: one line for each thing that happens to sessions and keys, in a file whose lines cannot
//! be changed, moved or removed unseen. `docs/audit-log.md` says what that is worth. A thread of its own
//! writes, so that nobody waits for the disk.

mod event;
mod file;
mod key;
mod line;
mod verify;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::{io, path::PathBuf};

use jiff::Timestamp;
use rke_host::data_dir::DataDir;
use rke_secret::SecretError;

pub use event::Event;
pub use key::AuditKey;
pub use verify::{Check, Finding, Report, Wrong, verify};

use crate::model::session_id::SessionId;
use event::Entry;
use file::LogFile;
use writer::{Message, Writer};

/// Lines that may wait for the disk; what happens beyond them is counted as lost.
const MAX_WAITING: usize = 1_000_000;

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file.
    #[error("cannot write the audit log {path}: {source}; choose another file with --audit-log")]
    File {
        /// The file that was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no secret memory left for its key.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Where events are told. Copies tell the same log; by default there is none.
#[derive(Clone, Default)]
pub struct Audit(Option<Arc<Open>>);

/// A log that is open.
struct Open {
    inbox: Sender<Message>,
    counts: Arc<Counts>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Counts {
    /// Events that the thread has not taken up.
    waiting: AtomicUsize,
    /// Events that have no line.
    lost: AtomicU64,
    /// Of these, those that the log tells of.
    told: AtomicU64,
}

impl Counts {
    /// Lost events that the log does not tell of, because it still cannot be written.
    fn untold(&self) -> u64 {
        self.lost.load(Ordering::Relaxed).saturating_sub(self.told.load(Ordering::Relaxed))
    }
}

impl Audit {
    /// Opens the log at `path`, or begins it, with the key of the data directory.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(path: &Path, data_dir: Arc<DataDir>) -> Result<Self, AuditError> {
        let file_error = |source| AuditError::File { path: path.into(), source };
        let file = LogFile::open(path, data_dir)?.map_err(file_error)?;
        let (inbox, messages) = channel();
        let counts = Arc::new(Counts::default());
        let writer = Writer::new(file, Arc::clone(&counts));
        let thread = std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(&messages));
        let thread = Mutex::new(Some(thread.map_err(file_error)?));
        Ok(Self(Some(Arc::new(Open { inbox, counts, thread }))))
    }

    /// Tells of an event. Never waits.
    pub fn record(&self, event: Event) {
        self.tell(None, event);
    }

    /// Tells of an event of a session.
    pub fn record_of(&self, session: SessionId, event: Event) {
        self.tell(Some(session), event);
    }

    fn tell(&self, session: Option<SessionId>, event: Event) {
        let Some(Open { inbox, counts, .. }) = self.0.as_deref() else { return };
        if counts.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            counts.waiting.fetch_sub(1, Ordering::Relaxed);
            counts.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let _ = inbox.send(Message::Happened(Entry { time: Timestamp::now(), session, event }));
    }

    /// Takes up the file that is at the log's path now: for after it was moved away.
    pub fn reopen(&self) {
        if let Some(open) = &self.0 {
            let _ = open.inbox.send(Message::Reopen);
        }
    }

    /// How many events have no line, because it could not be written.
    pub fn lost(&self) -> u64 {
        self.0.as_ref().map_or(0, |open| open.counts.lost.load(Ordering::Relaxed))
    }

    /// Whether events are being lost.
    pub fn is_failing(&self) -> bool {
        self.0.as_ref().is_some_and(|open| open.counts.untold() > 0)
    }

    /// Ends the log; when this returns, all that was told is in the file. Waits for the disk.
    pub fn close(&self) {
        let Some(open) = &self.0 else { return };
        let thread = open.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = open.inbox.send(Message::Close);
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the audit log's thread panicked: this is a bug in rke");
        }
    }
}

#[cfg(test)]
mod tests;
