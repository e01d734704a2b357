//! Deletions at the other end. After the local wipe the daemon asks the Content Server to forget a key, in the
//! background, until it has the proof or the key's lifetime is over: nothing else confirms a deletion.
//! `docs/protocol.md` section 7, "Forgetting".

mod file;
mod line;
mod queue;
mod task;

use std::collections::VecDeque;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
use crate::model::clock::unix_seconds;
use crate::model::remote_deletion::{RemoteCounts, RemoteDeletion};

/// How long the ids of confirmed deletions are remembered, for a request that asks after it has looked through memory or
/// removed a file.
const REMEMBERED: Duration = Duration::from_secs(60);

/// 16 bytes of a key id or a resumption id.
type Id = [u8; ID_LEN];

/// What has become of a deletion at the other end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remote {
    /// The other end has shown that it is done.
    Forgotten,
    /// It has not: the daemon goes on asking in the background until the key's lifetime is over.
    Pending,
    /// The other end has no message for that: its key is a narrow one.
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

/// The deletions that the other ends have not confirmed. Dropping it ends its tasks; what is pending stays in the file.
pub struct RemoteDeletions {
    shared: Arc<Shared>,
    tasks: Mutex<JoinSet<()>>,
}

/// What the tasks work on. Lock order: `keeping`, then `state`; `state` is free when `changes` is sent to, since listeners
/// take it.
struct Shared {
    exchange: Arc<Exchange>,
    journal: Arc<Journal>,
    timing: Timing,
    state: Mutex<State>,
    /// Held while the file is brought up to date, which may wait for the disk; `state` is not.
    keeping: Mutex<()>,
    /// Wakes the task that asks.
    new: Notify,
    /// Wakes the task that keeps the file.
    written: Notify,
    changes: watch::Sender<Changes>,
}

struct State {
    queue: Queue,
    file: PendingFile,
    confirmed: u64,
    /// The last that were, with when.
    remembered: VecDeque<(Instant, Id)>,
}

/// What listeners see.
#[derive(Debug, Clone, Copy, Default)]
struct Changes {
    count: u64,
    closing: bool,
}

impl RemoteDeletions {
    /// Goes on with those that a data directory holds. What is wrong in its file is reported, and no reason not to
    /// start. Needs a tokio runtime.
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
        let shared = Arc::new(Shared {
            exchange,
            journal,
            timing,
            state: Mutex::new(state),
            keeping: Mutex::default(),
            new: Notify::new(),
            written: Notify::new(),
            changes: watch::Sender::default(),
        });
        // What was found damaged is set aside soon.
        shared.written.notify_one();
        let mut tasks = JoinSet::new();
        tasks.spawn(task::ask(Arc::clone(&shared)));
        tasks.spawn(task::keep_file(Arc::clone(&shared)));
        Ok(Self { shared, tasks: Mutex::new(tasks) })
    }

    /// Begins with these. When this returns the file has them, so that a daemon that is killed then goes on with them at
    /// its next start. Waits neither for the network nor for the disk.
    pub fn submit(&self, deletions: impl IntoIterator<Item = RemoteDeletion>) {
        let deletions: Vec<RemoteDeletion> = deletions.into_iter().collect();
        if !deletions.is_empty() {
            self.shared.submit(deletions);
        }
    }

    /// What has become of the deletion of this id, after at most this wait.
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

    /// Lets those who wait in [`RemoteDeletions::settled`] go, because the daemon stops.
    pub fn close(&self) {
        self.shared.changes.send_modify(|changes| changes.closing = true);
    }

    /// Waits until each has been asked for once, at most until then, and ends. What is left stays in the file.
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
                "Content Servers have not confirmed these deletions; the next start goes on"
            );
        }
    }
}

impl Shared {
    fn submit(&self, mut deletions: Vec<RemoteDeletion>) {
        let now = unix_seconds();
        let mut state = self.lock();
        let State { queue, file, .. } = &mut *state;
        // Once its lifetime is over, the other end no longer has it.
        deletions.retain(|deletion| u64::from(deletion.lives_until) > now && queue.add(deletion.clone()));
        if deletions.is_empty() {
            return;
        }
        file.add(&deletions);
        drop(state);
        self.tell(true);
        self.new.notify_one();
        self.written.notify_one();
    }

    /// Wakes those who wait; `counts_differ` is for those who look at the counts.
    fn tell(&self, counts_differ: bool) {
        self.changes.send_modify(|changes| changes.count += u64::from(counts_differ));
    }

    /// A panic elsewhere leaves it whole, except one deletion: go on with it.
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
