//! The sessions with the Content Servers of a daemon's peers, which are opened and replaced before anyone waits for them.
//!
//! New keys come from the current session of a peer. The one before it stays until the next replacement, so that keys made
//! before can still be fetched.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rke_engine::Domain;
use rke_engine::model::clock::{Moment, unix_seconds};
use rke_engine::model::key_origin::Authenticated;
use rke_engine::model::session_id::SessionId;
use rke_engine::model::viewer::Viewer;
use rke_engine::sessions::{CachedKey, KeyChoice, Sessions};
use rke_engine::store::SessionInfo;
use rke_engine::tunnel;
use rke_proto::export::etsi::{EtsiKeyId, SaeId};
use rke_proto::handshake::KeyId;
use tokio::time::{Instant, sleep};

use super::delivered::{Delivered, MOST};
use super::refusal::Refusal;
use crate::http::EtsiPeerRow;

/// The longest time for which new keys come from one session. The other end may have lost it, by a restart for example.
const LONGEST_USE: Duration = Duration::from_secs(600);

/// How long a Content Server that has lost a session goes unnoticed while SAEs ask for keys.
const CHECK: Duration = Duration::from_secs(10);

/// How often the sessions are looked after.
const TICK: Duration = Duration::from_secs(1);

/// How long to wait after a session could not be opened for the first time, however often SAEs ask for keys: perhaps DNS or the
/// Content Server is being started too. After each further failure it is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest wait.
const LAST_RETRY: Duration = Duration::from_secs(10);

/// An SAE at the other end, and how its keys are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EtsiPeer {
    /// The SAE.
    pub sae: SaeId,
    /// The domain of its Content Server.
    pub domain: Domain,
    /// The wallet that opens the sessions.
    pub wallet: PathBuf,
}

/// All peers.
pub(crate) struct Peers {
    sessions: Arc<Sessions>,
    delivered: Arc<Delivered>,
    peers: BTreeMap<SaeId, Arc<Link>>,
    /// Those of all peers, each once.
    links: Vec<Arc<Link>>,
}

/// The sessions that one wallet opens with one Content Server. All SAEs there share them, because the Content Server tells
/// clients apart by their coins only.
pub(super) struct Link {
    domain: Domain,
    wallet: PathBuf,
    held: Mutex<Held>,
    /// Held while a session is opened, so that only one is.
    opening: tokio::sync::Mutex<()>,
    /// Whether keys were asked for since the Content Server was last asked whether it has the current session.
    is_used: AtomicBool,
}

#[derive(Default)]
struct Held {
    current: Option<Open>,
    previous: Option<Open>,
    /// Why no session could be opened.
    failure: Option<Failure>,
    /// When the Content Server was last asked whether it has the current session.
    checked: Option<Instant>,
}

/// A session could not be opened.
struct Failure {
    why: Refusal,
    at: Instant,
    /// How long nobody tries again.
    wait: Duration,
}

impl Failure {
    /// Another one after `previous`, now.
    fn after(previous: Option<&Self>, why: Refusal) -> Self {
        let wait = previous.map_or(FIRST_RETRY, |previous| (previous.wait * 2).min(LAST_RETRY));
        Self { why, at: Instant::now(), wait }
    }
}

/// An open session.
#[derive(Clone)]
pub(super) struct Open {
    pub(super) id: SessionId,
    pub(super) key_id: KeyId,
    /// The coin that proves the client.
    pub(super) coin: String,
    replace_at: Moment,
}

impl Peers {
    pub(crate) fn new(sessions: Arc<Sessions>, delivered: Arc<Delivered>, peers: &[EtsiPeer]) -> Self {
        let mut links: Vec<Arc<Link>> = Vec::new();
        let mut of_saes = BTreeMap::new();
        for EtsiPeer { sae, domain, wallet } in peers {
            let link = links.iter().find(|link| link.domain == *domain && link.wallet == *wallet).cloned();
            let link = link.unwrap_or_else(|| {
                let link = Arc::new(Link::new(domain.clone(), wallet.clone()));
                links.push(Arc::clone(&link));
                link
            });
            of_saes.insert(sae.clone(), link);
        }
        Self { sessions, delivered, peers: of_saes, links }
    }

    /// The sessions that keys of this SAE come from.
    pub(super) fn of(&self, sae: &SaeId) -> Result<&Link, Refusal> {
        let link = self.peers.get(sae).map(Arc::as_ref);
        link.ok_or_else(|| Refusal::unauthorized("this key server shares no keys with that SAE"))
    }

    /// All peers, by their ids.
    pub(super) fn rows(&self) -> Vec<EtsiPeerRow> {
        let row = |(sae, link): (&SaeId, &Arc<Link>)| EtsiPeerRow {
            sae_id: sae.to_string(),
            domain: link.domain.to_string(),
            keys_ready: self.usable(link).map_or(0, |open| self.delivered.room(&open.key_id)),
        };
        self.peers.iter().map(row).collect()
    }

    /// The open session with this key.
    pub(super) fn by_key(&self, key_id: &KeyId) -> Option<Open> {
        self.links.iter().find_map(|link| link.find(|open| open.key_id == *key_id))
    }

    /// The session that new keys come from. Opens one if there is none.
    pub(super) async fn current(&self, link: &Link) -> Result<Open, Refusal> {
        link.is_used.store(true, Ordering::Relaxed);
        if let Some(open) = self.usable(link) {
            return Ok(open);
        }
        let _opening = link.opening.lock().await;
        // Another request may have opened it meanwhile, or tried to.
        match (self.usable(link), link.failure()) {
            (Some(open), _) => Ok(open),
            (None, Some(refusal)) => Err(refusal),
            (None, None) => self.open(link).await,
        }
    }

    /// Opens sessions for all peers, and replaces them in time. Never ends.
    pub(crate) async fn keep(&self) {
        loop {
            for link in &self.links {
                if self.wants_another(link) {
                    let _opening = link.opening.lock().await;
                    // A failure is in the log, and the next request says so.
                    let _ = self.open(link).await;
                } else if link.wants_a_check() {
                    self.check(link).await;
                }
            }
            sleep(TICK).await;
        }
    }

    /// The current session, if it exists and has keys left.
    fn usable(&self, link: &Link) -> Option<Open> {
        let open = link.held().current.clone()?;
        let is_live = self.sessions.show_own(open.id).is_some();
        (is_live && self.delivered.room(&open.key_id) > 0).then_some(open)
    }

    fn wants_another(&self, link: &Link) -> bool {
        if link.failure().is_some() {
            return false;
        }
        let is_good =
            |open: Open| open.replace_at > Moment::now() && self.delivered.room(&open.key_id) > MOST / 2;
        !self.usable(link).is_some_and(is_good)
    }

    /// Opens another session, and puts it in the place of the current one.
    async fn open(&self, link: &Link) -> Result<Open, Refusal> {
        match self.create(link).await {
            Ok(open) => {
                self.put(link, open.clone()).await;
                Ok(open)
            }
            Err(refusal) => {
                let mut held = link.held();
                held.failure = Some(Failure::after(held.failure.as_ref(), refusal.clone()));
                Err(refusal)
            }
        }
    }

    /// Opens another session if the Content Server no longer has the current one: it was started again, or the session was deleted
    /// there.
    async fn check(&self, link: &Link) {
        let _opening = link.opening.lock().await;
        let Some(open) = self.usable(link) else { return };
        // Where it cannot be asked, the next check comes soon.
        if matches!(tunnel::is_known_there(&self.sessions, open.id).await, Ok(false)) {
            // A failure is in the log, and the next request says so.
            let _ = self.open(link).await;
        }
    }

    /// Puts a session in the place of the current one.
    async fn put(&self, link: &Link, open: Open) {
        let ended = {
            let mut held = link.held();
            held.failure = None;
            held.checked = Some(Instant::now());
            let current = held.current.replace(open);
            std::mem::replace(&mut held.previous, current)
        };
        if let Some(ended) = ended {
            self.end(ended.id).await;
        }
    }

    async fn create(&self, link: &Link) -> Result<Open, Refusal> {
        let Link { domain, wallet, .. } = link;
        let viewer = Viewer::Program;
        let created = self.sessions.create(domain.clone(), wallet.clone(), KeyChoice::Cached, &viewer);
        let row = created.await.map_err(|error| {
            Refusal::unavailable(format!("no session with the Content Server of {domain}: {error}"))
        })?;
        let id = SessionId::parse(&row.session_id);
        let id = id.ok_or_else(|| Refusal::unavailable("no session"))?;
        match (row.key_id, row.origin.authenticated()) {
            (Some(key_id), Authenticated::Strong) => {
                let coin = row.origin.proven.map(|coin| coin.to_string()).unwrap_or_default();
                Ok(Open { id, key_id, coin, replace_at: replace_at(&row) })
            }
            _ => {
                self.end(id).await;
                Err(Refusal::unavailable(format!(
                    "the session with the Content Server of {domain} is not strongly authenticated, so no key leaves it"
                )))
            }
        }
    }

    async fn end(&self, id: SessionId) {
        // It may have ended before.
        let _ = self.sessions.delete(id, CachedKey::Keep, &Viewer::Program).await;
    }
}

impl Link {
    fn new(domain: Domain, wallet: PathBuf) -> Self {
        let (held, opening) = (Mutex::default(), tokio::sync::Mutex::default());
        Self { domain, wallet, held, opening, is_used: AtomicBool::new(false) }
    }

    pub(super) fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The session that the key with this id is from.
    pub(super) fn session_of(&self, id: EtsiKeyId) -> Option<Open> {
        self.find(|open| id.is_of(&open.key_id))
    }

    /// Why no session could be opened a moment ago.
    fn failure(&self) -> Option<Refusal> {
        let held = self.held();
        let failure = held.failure.as_ref()?;
        (failure.at.elapsed() < failure.wait).then(|| failure.why.clone())
    }

    /// Whether to ask the Content Server for the current session. Then it counts as asked.
    fn wants_a_check(&self) -> bool {
        let mut held = self.held();
        let is_due = held.checked.is_none_or(|at| at.elapsed() >= CHECK);
        let is_wanted = is_due && self.is_used.swap(false, Ordering::Relaxed);
        if is_wanted {
            held.checked = Some(Instant::now());
        }
        is_wanted
    }

    fn find(&self, is_it: impl Fn(&Open) -> bool) -> Option<Open> {
        let held = self.held();
        [&held.current, &held.previous].into_iter().flatten().find(|open| is_it(open)).cloned()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When to replace a session: in the middle of its life at the end where it is shorter, so that a key made at the last moment
/// can be fetched for as long again.
fn replace_at(row: &SessionInfo) -> Moment {
    let here = row.expires_at.duration_since(row.created_at).unsigned_abs();
    let there = row.lives_until.map_or(u64::MAX, |until| u64::from(until).saturating_sub(unix_seconds()));
    let life = here.min(Duration::from_secs(there));
    Moment::now().after(LONGEST_USE.min(life / 2))
}

#[cfg(test)]
mod tests;
