//! An audit log: a tamper-evident file with one line for each event of a program. Lines cannot be changed,
//! moved or removed without leaving a trace. `docs/audit-log.md` explains what that is worth. A separate thread
//! writes, so that nobody waits for the disk.

mod event;
mod file;
mod key;
mod line;
mod lost;
mod position;
mod verify;
mod writer;

use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::{io, path::PathBuf};

use jiff::Timestamp;
use rke_secret::SecretError;

pub use event::{Event, Kind};
pub use key::AuditTags;
pub use verify::{Check, Finding, Report, Wrong, verify};

use crate::data_dir::DataDir;
use crate::monitored::Metric;
use event::Entry;
use file::LogFile;
use key::ID_LEN;
use lost::LostFile;
use writer::{Message, Writer};

/// How many lines may wait for the disk; further events are counted as lost.
const MAX_WAITING: usize = 1_000_000;

/// Why the audit log cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The file cannot be written.
    #[error("cannot write the audit log {path}: {source}; choose another file with --audit-log")]
    File {
        /// The requested file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Processes that share a data directory cannot each continue its one chain of lines.
    #[error(
        "another process keeps an audit log with the data folder {0}, which knows the end of one log only; give one of the two \
         a data folder of its own, or leave out --audit-log there"
    )]
    Shared(PathBuf),
    /// No secret memory is left for its key.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Records events. Clones write to the same log; by default there is no log.
pub struct Audit<E>(Option<Arc<Open<E>>>);

/// An open log.
struct Open<E> {
    inbox: Sender<Message<E>>,
    counts: Arc<Counts>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Counts {
    /// Events that the thread has not taken yet.
    waiting: AtomicUsize,
    /// Events that were not written, with those before the start that the log did not report then.
    lost: AtomicU64,
    /// Lost events that the log has reported.
    told: AtomicU64,
}

impl Counts {
    /// Lost events that the log has not reported yet, because it still cannot be written.
    fn untold(&self) -> u64 {
        self.lost.load(Ordering::Relaxed).saturating_sub(self.told.load(Ordering::Relaxed))
    }
}

impl<E> Default for Audit<E> {
    fn default() -> Self {
        Self(None)
    }
}

impl<E> Clone for Audit<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E: Event> Audit<E> {
    /// Opens the log that is wanted, if one is.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open_if_wanted(path: Option<&Path>, data_dir: &Arc<DataDir>) -> Result<Self, AuditError> {
        path.map_or_else(|| Ok(Self::default()), |path| Self::open(path, Arc::clone(data_dir)))
    }

    /// Opens or creates the log at `path`, with the key of the data directory.
    ///
    /// # Errors
    /// [`AuditError`].
    pub fn open(path: &Path, data_dir: Arc<DataDir>) -> Result<Self, AuditError> {
        let file_error = |source| AuditError::File { path: path.into(), source };
        let lost = LostFile::open(&data_dir).map_err(file_error)?;
        let lost = lost.ok_or_else(|| AuditError::Shared(data_dir.path().into()))?;
        let file = LogFile::open(path, data_dir)?.map_err(file_error)?;
        let (inbox, messages) = channel();
        let counts = Arc::new(Counts { lost: lost.count().into(), ..Counts::default() });
        let writer = Writer::new(file, lost, Arc::clone(&counts));
        let thread = std::thread::Builder::new().name("audit".into()).spawn(move || writer.run(&messages));
        let thread = Mutex::new(Some(thread.map_err(file_error)?));
        Ok(Self(Some(Arc::new(Open { inbox, counts, thread }))))
    }

    /// Uses these tags in what is recorded from now on, instead of those of the data directory.
    pub fn tag_with(&self, tags: AuditTags) {
        if let Some(open) = &self.0 {
            let _ = open.inbox.send(Message::TagWith(tags));
        }
    }

    /// Records an event. Never waits.
    pub fn record(&self, event: E) {
        self.enqueue(None, event);
    }

    /// Records an event of the session with this id.
    pub fn record_of(&self, session: [u8; ID_LEN], event: E) {
        self.enqueue(Some(session), event);
    }

    fn enqueue(&self, session: Option<[u8; ID_LEN]>, event: E) {
        let Some(Open { inbox, counts, .. }) = self.0.as_deref() else { return };
        if counts.waiting.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING {
            counts.waiting.fetch_sub(1, Ordering::Relaxed);
            counts.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let _ = inbox.send(Message::Happened(Entry { time: Timestamp::now(), session, event }));
    }

    /// Goes on with the file that is at the log's path now, after the old one was moved away.
    pub fn reopen(&self) {
        if let Some(open) = &self.0 {
            let _ = open.inbox.send(Message::Reopen);
        }
    }

    /// How many events were lost, because they could not be written.
    pub fn lost(&self) -> u64 {
        self.0.as_ref().map_or(0, |open| open.counts.lost.load(Ordering::Relaxed))
    }

    /// How many events were lost, for those who monitor the program.
    pub fn metric(&self) -> Metric {
        Metric::counter("rke_audit_write_failures", "Events that are missing from the audit log", self.lost())
    }

    /// What is wrong while events are being lost.
    pub fn fault(&self) -> Option<&'static str> {
        let is_failing = self.0.as_ref().is_some_and(|open| open.counts.untold() > 0);
        is_failing.then_some("the audit log cannot be written")
    }

    /// Closes the log; when this returns, everything recorded is in the file. Waits for the disk.
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
