//! The RAIDA directory of the public network. Public records do not say which RAIDA a server is; guardians do, each in a
//! file of its own. What a majority of them says alike is kept, and tells the index of servers for which neither DNS nor the
//! operator's file has one. `docs/protocol.md` section 1.3.

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
use self::report::{tell, tell_changes};
pub use self::urls::{GuardianError, Guardians};
use crate::blocking::spawn_blocking;
use crate::discovery::Discovery;
use crate::model::clock::{Moment, wall_clock};

/// How often guardians are asked without a reason, and how often where they did not agree on all RAIDAs.
const PERIOD: Duration = Duration::from_secs(24 * 3600);
const RETRY_PERIOD: Duration = Duration::from_secs(600);

/// How long they are left alone after they were asked: whatever exchanges fail, and whoever wants a refresh.
const PAUSE: Duration = Duration::from_secs(60);
const SHORT_PAUSE: Duration = Duration::from_secs(2);

/// The directory that guardians agree on. One task asks them, [`AgreedDirectory::keep`]; others say that they should be.
pub struct AgreedDirectory {
    guardians: ArcSwap<Guardians>,
    /// `None` where nothing is kept.
    file: Option<Arc<ListFile>>,
    state: Mutex<State>,
    wanted: Notify,
    /// Counts the refreshes that are done.
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
    /// Why this user may not use the file in which it is kept.
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

    /// One without guardians, which keeps nothing.
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

    /// What is known; `None` without guardians.
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

    /// Goes on with these guardians, and has them asked. What others have agreed on is not theirs.
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

    /// Has them asked in the background, unless they were a moment ago: an exchange has failed as it would with a directory
    /// that is no longer true.
    pub(crate) fn doubt(&self) {
        let state = self.lock();
        if !state.is_running && !state.was_finished_within(PAUSE) {
            self.wanted.notify_one();
        }
    }

    /// Has them asked, unless they were a moment ago, and waits until they have been. Says whether they have.
    pub(crate) async fn fill(&self) -> bool {
        !self.guardians.load().is_empty() && self.asked_after(PAUSE).await
    }

    /// Has them asked, and waits until they have been.
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

    /// Asks the guardians at once, then whenever that is wanted or due.
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
                // Apart from this task, which lives for as long as the daemon.
                let said = Box::pin(ask_all(discovery, &guardians)).await;
                // Others may have been named meanwhile: they are asked next.
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
        tell(&refresh, guardians.count());
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
            tracing::error!(%error, "the RAIDA directory is not kept for the next start");
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

    /// In how long the guardians are asked again.
    fn due(&self) -> Duration {
        let (Some(at), Some(last)) = (self.finished_at, &self.last) else { return Duration::ZERO };
        let period = if last.agreed == RAIDA_COUNT { PERIOD } else { RETRY_PERIOD };
        period.saturating_sub(Moment::now().since(at))
    }
}

#[cfg(test)]
mod tests {
    use rke_proto::RaidaIndex;
    use rke_proto::directory::Directory;

    use super::*;
    use crate::discovery::Validation;

    fn guarded() -> AgreedDirectory {
        let urls = ["a", "b", "c"].map(|host| format!("https://{host}.example/host.txt"));
        let guardians = ArcSwap::from_pointee(Guardians::new(&urls).expect("guardians"));
        AgreedDirectory { guardians, ..AgreedDirectory::none() }
    }

    /// Whether somebody has said that guardians should be asked.
    async fn is_wanted(directory: &AgreedDirectory) -> bool {
        timeout(Duration::ZERO, directory.wanted.notified()).await.is_ok()
    }

    #[tokio::test]
    async fn a_doubt_has_them_asked_unless_they_were_a_moment_ago() {
        let directory = guarded();
        directory.doubt();
        assert!(is_wanted(&directory).await);
        directory.lock().is_running = true;
        directory.doubt();
        assert!(!is_wanted(&directory).await, "they are being asked");
        directory.lock().finish();
        directory.doubt();
        assert!(!is_wanted(&directory).await, "they have just been asked");
        assert!(!directory.fill().await, "and would say the same to a session");
    }

    #[tokio::test]
    async fn without_guardians_nobody_is_asked_and_nobody_waits() {
        let directory = AgreedDirectory::none();
        assert!(directory.report().is_none() && !directory.fill().await);
        assert!(matches!(directory.refresh().await, Err(RefreshError::NoGuardians)));
    }

    #[tokio::test]
    async fn what_other_guardians_agreed_on_is_dropped_and_these_are_asked() {
        let nowhere = Some(([127, 0, 0, 1], 9).into());
        let discovery = Discovery::new(nowhere, Validation::off(), Directory::default(), Reach::Everywhere);
        let directory = guarded();
        let endpoint = ([127, 0, 0, 1], 1).into();
        let raida = RaidaIndex::new(1).expect("an index");
        let agreed = agreement::Agreed { endpoints: vec![endpoint], guardians: 3 };
        directory.lock().list.take_over([(raida, agreed)].into(), wall_clock());
        let urls = ["a", "b", "d"].map(|host| format!("https://{host}.example/host.txt"));
        for (guardians, left) in
            [(guarded().guardians.load_full(), 1), (Arc::new(Guardians::new(&urls).expect("three")), 0)]
        {
            directory.change((*guardians).clone(), &discovery);
            assert_eq!(directory.endpoints().len(), left);
            assert!(is_wanted(&directory).await);
        }
    }

    #[test]
    fn they_are_asked_daily_and_more_often_where_they_do_not_agree() {
        let mut state = State::default();
        assert_eq!(state.due(), Duration::ZERO);
        for (agreed, period) in [(RAIDA_COUNT, PERIOD), (24, RETRY_PERIOD), (0, RETRY_PERIOD)] {
            state.last = Some(Refresh { at: wall_clock(), answered: 3, agreed, faults: Vec::new() });
            state.finish();
            assert!(state.due() <= period && state.due() > period - Duration::from_secs(60), "{agreed}");
        }
    }
}
