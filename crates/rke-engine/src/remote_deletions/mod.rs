//! Deletions at the other end. After the local wipe, the daemon asks the Content Server in the background to forget a
//! key, until it has the proof or the key's lifetime is over. Nothing else confirms a deletion. `docs/protocol.md`
//! section 7, "Forgetting".

mod file;
mod line;
mod queue;
mod task;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rke_proto::handshake::ID_LEN;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use self::file::PendingFile;
use self::queue::Queue;
use self::task::Timing;
use crate::blocking::spawn_blocking;
use crate::exchange::Exchange;
use crate::journal::Journal;
use crate::model::remote_deletion::{RemoteCounts, RemoteDeletion};

/// How long the ids of confirmed deletions are remembered, for a request that asks about one after a memory scan or
/// the removal of a file.
const REMEMBERED: Duration = Duration::from_secs(60);

/// 16 bytes of a key id or a resumption id.
type Id = [u8; ID_LEN];

/// The state of a deletion at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remote {
    /// The other end has proven that it is done.
    Forgotten,
    /// The other end has not proven it yet: the daemon keeps asking in the background until the key's lifetime is
    /// over.
    Pending,
    /// The other end has no message for that, because the key is a narrow one.
    Unsupported,
}

impl Remote {
    /// Its name in the HTTP API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forgotten => "forgotten",
            Self::Pending => "pending",
            Self::Unsupported => "unsupported",
        }
    }
}

/// The deletions that other ends have not confirmed. Dropping this ends its tasks; pending deletions stay in the file.
pub struct RemoteDeletions {
    shared: Arc<DeletionContext>,
    tasks: Mutex<JoinSet<()>>,
}

/// The state that the tasks share. Lock order: `keeping`, then `state`. `state` is not held while `changes` is sent
/// to, because listeners take it.
struct DeletionContext {
    exchange: Arc<Exchange>,
    journal: Arc<Journal>,
    timing: Timing,
    state: Mutex<State>,
    /// Held while the file is brought up to date, which may wait for the disk. `state` is not held meanwhile.
    keeping: Mutex<()>,
    /// Wakes the task that asks Content Servers.
    new: Notify,
    /// Wakes the task that keeps the file.
    written: Notify,
    changes: watch::Sender<Changes>,
    on_done: OnceLock<OnDone>,
}

/// Called with the id of each deletion that is over: confirmed, or no longer needed. It must not wait.
type OnDone = Box<dyn Fn(Id) + Send + Sync>;

struct State {
    queue: Queue,
    file: PendingFile,
    confirmed: u64,
    /// The most recently confirmed ids, and when they were confirmed.
    remembered: VecDeque<(Instant, Id)>,
}

/// The state that listeners watch.
#[derive(Debug, Clone, Copy, Default)]
struct Changes {
    count: u64,
    closing: bool,
}

impl RemoteDeletions {
    /// Goes on with the deletions in a data directory. Damage in its file is reported, but does not prevent the start.
    /// Needs a tokio runtime.
    ///
    /// # Errors
    /// Why this user may not use the file.
    pub fn open(data_dir: &Path, exchange: Arc<Exchange>, journal: Arc<Journal>) -> io::Result<Self> {
        Self::open_with(data_dir, exchange, journal, Timing::default())
    }

    fn open_with(
        data_dir: &Path,
        exchange: Arc<Exchange>,
        journal: Arc<Journal>,
        timing: Timing,
    ) -> io::Result<Self> {
        let (file, found) = PendingFile::open(data_dir)?;
        let mut queue = Queue::new(timing.pauses);
        let count = found.into_iter().filter(|deletion| queue.add(deletion.clone())).count();
        if count > 0 {
            tracing::info!(count, "Content Servers have not confirmed these deletions; they are asked again");
        }
        let state = State { queue, file, confirmed: 0, remembered: VecDeque::new() };
        let shared = Arc::new(DeletionContext {
            exchange,
            journal,
            timing,
            state: Mutex::new(state),
            keeping: Mutex::default(),
            new: Notify::new(),
            written: Notify::new(),
            changes: watch::Sender::default(),
            on_done: OnceLock::new(),
        });
        // Lines that were found damaged are set aside soon.
        shared.written.notify_one();
        let mut tasks = JoinSet::new();
        tasks.spawn(task::ask(Arc::clone(&shared)));
        tasks.spawn(task::keep_file(Arc::clone(&shared)));
        Ok(Self { shared, tasks: Mutex::new(tasks) })
    }

    /// Begins these deletions. When this returns, they are in the file, so that a daemon that is killed then goes on
    /// with them at its next start. Waits neither for the network nor for the disk.
    pub fn submit(&self, deletions: impl IntoIterator<Item = RemoteDeletion>) {
        let deletions: Vec<RemoteDeletion> = deletions.into_iter().collect();
        if !deletions.is_empty() {
            self.shared.submit(deletions);
        }
    }

    /// Sets, once, what hears about deletions that are over: confirmed, or no longer needed because the key's lifetime is.
    pub(crate) fn on_done(&self, on_done: impl Fn([u8; ID_LEN]) + Send + Sync + 'static) {
        // A second call would come from another daemon.
        let _ = self.shared.on_done.set(Box::new(on_done));
    }

    /// The state of the deletion with this id, after waiting at most `wait`.
    pub async fn settled(&self, id: [u8; ID_LEN], wait: Duration) -> Remote {
        let mut changes = self.shared.changes.subscribe();
        let settled = async {
            while !changes.borrow_and_update().closing && self.shared.lock().queue.contains(&id) {
                if changes.changed().await.is_err() {
                    return;
                }
            }
        };
        let _ = timeout(wait, settled).await;
        let is_confirmed = self.shared.lock().remembered.iter().any(|(_, confirmed)| *confirmed == id);
        if is_confirmed { Remote::Forgotten } else { Remote::Pending }
    }

    /// How many are pending, and how many were confirmed.
    pub fn counts(&self) -> RemoteCounts {
        self.shared.lock().counts()
    }

    /// A number that grows when the counts change.
    pub fn changes(&self) -> u64 {
        self.shared.changes.borrow().count
    }

    /// Ends all waits in [`RemoteDeletions::settled`], because the daemon stops.
    pub fn close(&self) {
        self.shared.changes.send_modify(|changes| changes.closing = true);
    }

    /// Waits until each deletion has been requested once, at most until `deadline`, and stops. Unfinished ones stay in
    /// the file.
    pub async fn stop(&self, deadline: Instant) {
        let mut changes = self.shared.changes.subscribe();
        let asked =
            async { while self.shared.lock().queue.is_asking() && changes.changed().await.is_ok() {} };
        let _ = timeout_at(deadline, asked).await;
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        let shared = Arc::clone(&self.shared);
        let _ = spawn_blocking(move || shared.keep_file()).await;
        let RemoteCounts { pending, .. } = self.counts();
        if pending > 0 {
            tracing::info!(
                pending,
                "Content Servers have not confirmed these deletions; the daemon goes on with them after the next start"
            );
        }
    }
}

impl DeletionContext {
    fn submit(&self, mut deletions: Vec<RemoteDeletion>) {
        let now = (self.timing.unix_seconds)();
        let mut state = self.lock();
        let State { queue, file, .. } = &mut *state;
        // Once its lifetime is over, the other end no longer has it.
        let over = deletions.extract_if(.., |deletion| u64::from(deletion.lives_until) <= now);
        let over: Vec<Id> = over.map(|deletion| deletion.id).collect();
        deletions.retain(|deletion| queue.add(deletion.clone()));
        over.into_iter().for_each(|id| self.done(id));
        if deletions.is_empty() {
            return;
        }
        file.add(&deletions);
        drop(state);
        self.tell(true);
        self.new.notify_one();
        self.written.notify_one();
    }

    fn done(&self, id: Id) {
        if let Some(on_done) = self.on_done.get() {
            on_done(id);
        }
    }

    /// Wakes the waiters; `counts_differ` also notifies those that watch the counts.
    fn tell(&self, counts_differ: bool) {
        self.changes.send_modify(|changes| changes.count += u64::from(counts_differ));
    }

    /// A panic elsewhere leaves the state intact, except for one deletion. So poisoning is ignored.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn counts(&self) -> RemoteCounts {
        RemoteCounts { pending: self.queue.len(), confirmed: self.confirmed }
    }

    /// Notes that the other end has shown the proof.
    fn confirm(&mut self, id: Id, now: Instant) {
        self.confirmed += 1;
        self.file.done(id);
        self.remembered.push_back((now, id));
        while self.remembered.front().is_some_and(|(at, _)| now.duration_since(*at) > REMEMBERED) {
            self.remembered.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
