//! The RAIDA directory of the public network. Public records do not say which RAIDA a server is; guardians do, each
//! in its own file. The entries that a majority of them agree on are kept. They supply the index of servers for which
//! neither DNS nor the operator's file has one. `docs/protocol.md` section 1.3.

mod agreement;
mod asking;
mod authorities;
mod fetch;
mod file;
mod list;
mod report;
mod urls;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use rke_host::data_dir::DataDir;
use rke_proto::RAIDA_COUNT;
use rke_proto::reach::Reach;
use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use self::agreement::{List, needed};
use self::asking::{Said, ask_all};
pub use self::authorities::{AuthorityFiles, authority_files};
use self::file::ListFile;
pub use self::list::Entry;
use self::list::GoodList;
pub use self::report::{Refresh, RefreshError, Report};
use self::report::{log_refresh, tell_changes};
pub use self::urls::{GuardianError, Guardians};
use crate::blocking::spawn_blocking;
use crate::discovery::Discovery;
use crate::model::clock::{Moment, wall_clock};

/// How often the guardians are asked in any case, and how often while they do not agree on all RAIDAs.
const PERIOD: Duration = Duration::from_secs(24 * 3600);
const RETRY_PERIOD: Duration = Duration::from_secs(600);

/// How long the guardians are left alone after a request, no matter how many exchanges fail (`PAUSE`) or clients
/// request a refresh (`SHORT_PAUSE`).
const PAUSE: Duration = Duration::from_secs(60);
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// The directory that the guardians agree on. One task, [`AgreedDirectory::keep`], asks them; others only request
/// that it does.
pub struct AgreedDirectory {
    guardians: ArcSwap<Guardians>,
    /// `None` if nothing is kept on disk.
    file: Option<Arc<ListFile>>,
    state: Mutex<State>,
    wanted: Notify,
    /// Counts the finished refreshes.
    done: watch::Sender<u64>,
    changes: AtomicU64,
}

#[derive(Default)]
struct State {
    list: GoodList,
    last: Option<Refresh>,
    finished_at: Option<Moment>,
    is_running: bool,
}

impl AgreedDirectory {
    /// The directory of these guardians, as far as it was kept. Without guardians nothing is read.
    ///
    /// # Errors
    /// Why this user may not use the file that it is kept in.
    pub fn open(data_dir: Arc<DataDir>, guardians: Guardians, reach: Reach) -> io::Result<Self> {
        let file = ListFile::new(data_dir);
        let list = match guardians.is_empty() {
            true => GoodList::default(),
            false => file.read(&guardians, reach)?,
        };
        let state = Mutex::new(State { list, ..State::default() });
        let guardians = ArcSwap::from_pointee(guardians);
        Ok(Self { guardians, file: Some(Arc::new(file)), state, ..Self::none() })
    }

    /// A directory without guardians, which keeps nothing.
    pub fn none() -> Self {
        Self {
            guardians: ArcSwap::default(),
            file: None,
            state: Mutex::default(),
            wanted: Notify::new(),
            done: watch::Sender::new(0),
            changes: AtomicU64::new(0),
        }
    }

    /// Each endpoint with its RAIDA.
    pub(crate) fn endpoints(&self) -> List {
        self.lock().list.endpoints()
    }

    /// What is known about the directory; `None` without guardians.
    pub fn report(&self) -> Option<Report> {
        let guardians = self.guardians.load().count();
        if guardians == 0 {
            return None;
        }
        let state = self.lock();
        let raidas = state.list.rows();
        Some(Report { guardians, needed: needed(guardians), last: state.last.clone(), raidas })
    }

    /// A number that grows with each refresh.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Applies these guardians, and has them asked. A list that other guardians agreed on is dropped.
    pub(crate) fn change(&self, guardians: Guardians, discovery: &Discovery) {
        if **self.guardians.load() != guardians {
            self.guardians.store(Arc::new(guardians));
            let mut state = self.lock();
            state.list = GoodList::default();
            state.last = None;
            discovery.set_agreed(List::new());
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
        self.wanted.notify_one();
    }

    /// Has the guardians asked in the background, unless they were asked a moment ago. Called when an exchange failed
    /// as it would with an outdated directory.
    pub(crate) fn doubt(&self) {
        let state = self.lock();
        if !state.is_running && !state.was_finished_within(PAUSE) {
            self.wanted.notify_one();
        }
    }

    /// Has the guardians asked, unless they were asked a moment ago, and waits until that is done. Returns whether
    /// they were asked.
    pub(crate) async fn fill(&self) -> bool {
        !self.guardians.load().is_empty() && self.asked_after(PAUSE).await
    }

    /// Has the guardians asked, and waits until that is done.
    ///
    /// # Errors
    /// [`RefreshError`].
    pub async fn refresh(&self) -> Result<(), RefreshError> {
        if self.guardians.load().is_empty() {
            return Err(RefreshError::NoGuardians);
        }
        self.asked_after(SHORT_PAUSE).await;
        match self.report() {
            Some(Report { guardians, needed, last: Some(last), .. }) if last.agreed == 0 => {
                Err(RefreshError::NoAgreement {
                    guardians,
                    needed,
                    answered: last.answered,
                    faults: last.faults,
                })
            }
            _ => Ok(()),
        }
    }

    async fn asked_after(&self, pause: Duration) -> bool {
        let mut done = self.done.subscribe();
        {
            let state = self.lock();
            if !state.is_running && state.was_finished_within(pause) {
                return false;
            }
            if !state.is_running {
                self.wanted.notify_one();
            }
        }
        done.changed().await.is_ok()
    }

    /// Asks the guardians at once, then whenever a refresh is requested or due.
    pub(crate) async fn keep(&self, discovery: &Discovery) {
        loop {
            let due = match self.guardians.load().is_empty() {
                true => None,
                false => Some(self.lock().due()),
            };
            match due {
                Some(due) => drop(timeout(due, self.wanted.notified()).await),
                None => self.wanted.notified().await,
            }
            let guardians = self.guardians.load_full();
            if !guardians.is_empty() {
                self.lock().is_running = true;
                // Boxed: this task lives for as long as the daemon, and should not keep the memory that this takes.
                let said = Box::pin(ask_all(discovery, &guardians)).await;
                // Other guardians may have been set meanwhile: they are asked next.
                if Arc::ptr_eq(&guardians, &self.guardians.load_full()) {
                    self.take_in(said, guardians, discovery).await;
                }
                self.lock().finish();
                self.changes.fetch_add(1, Ordering::Relaxed);
            }
            self.done.send_modify(|done| *done += 1);
        }
    }

    async fn take_in(&self, said: Said, guardians: Arc<Guardians>, discovery: &Discovery) {
        let Said { agreed, answered, faults } = said;
        let refresh = Refresh { at: wall_clock(), answered, agreed: agreed.len(), faults };
        log_refresh(&refresh, guardians.count());
        let (list, was_empty, changes) = {
            let mut state = self.lock();
            let was_empty = state.list.is_empty();
            let changes = state.list.take_over(agreed, refresh.at);
            state.last = Some(refresh.clone());
            (state.list.clone(), was_empty, changes)
        };
        if refresh.agreed == 0 {
            return;
        }
        discovery.set_agreed(list.endpoints());
        if !was_empty {
            tell_changes(&changes);
        }
        let Some(file) = self.file.clone() else { return };
        let written = spawn_blocking(move || file.write(&list, &guardians)).await;
        if let Ok(Err(error)) = written {
            tracing::error!(%error, "cannot save the RAIDA directory for the next start");
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn was_finished_within(&self, pause: Duration) -> bool {
        self.finished_at.is_some_and(|at| Moment::now().since(at) < pause)
    }

    fn finish(&mut self) {
        self.is_running = false;
        self.finished_at = Some(Moment::now());
    }

    /// How long until the guardians are asked again.
    fn due(&self) -> Duration {
        let (Some(at), Some(last)) = (self.finished_at, &self.last) else { return Duration::ZERO };
        let period = if last.agreed == RAIDA_COUNT { PERIOD } else { RETRY_PERIOD };
        period.saturating_sub(Moment::now().since(at))
    }
}

#[cfg(test)]
mod tests;
