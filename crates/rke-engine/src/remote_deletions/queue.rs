//! Decides which deletion is requested next, and when. The first try comes at once, later ones after growing pauses:
//! pauses of a deletion that is refused, and pauses of a server that cannot be reached, which one deletion finds out
//! for all. A deletion that is added while a server is unreachable still gets its first try at once.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::{Id, RemoteDeletion};
use crate::model::server_name::ServerName;

/// The most connections at one time.
pub(super) const MAX_RUNNING: usize = 8;

/// The most of them to one server, so that one that hangs does not hold up others.
pub(super) const MAX_RUNNING_PER_SERVER: usize = 2;

/// How long to wait before something is tried again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pauses {
    /// After the first failure.
    pub(super) first: Duration,
    /// The upper limit, after any number of failures.
    pub(super) longest: Duration,
}

impl Pauses {
    /// After this many failures in a row: half to all of a time that doubles each time, at random, so that retries do
    /// not all come at once.
    pub(super) fn after(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(u32::BITS - 1);
        let whole = self.first.saturating_mul(1 << doublings).min(self.longest);
        whole.mul_f64(0.5 + fraction() / 2.0)
    }
}

/// A random number from 0 to 1.
fn fraction() -> f64 {
    let mut random = [0; 4];
    // Without random bytes, the pause is the shortest.
    let _ = getrandom::fill(&mut random);
    f64::from(u32::from_ne_bytes(random)) / f64::from(u32::MAX)
}

/// How a try ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tried {
    /// With the proof.
    Proven,
    /// With any other response.
    Unproven,
    /// Without a response.
    Unreachable,
}

/// The pending deletions.
pub(super) struct Queue {
    pauses: Pauses,
    entries: HashMap<Id, Entry>,
    /// The servers with pending deletions.
    servers: HashMap<ServerName, Server>,
    /// The ends of lifetimes in Unix seconds, soonest first.
    ends: BTreeSet<(u32, Id)>,
    running: usize,
    /// How many deletions were added.
    came: u64,
}

struct Entry {
    deletion: RemoteDeletion,
    /// How often it got a response without a proof.
    failures: u32,
    /// `None` while it is being tried.
    turn: Option<NextTry>,
}

#[derive(Default)]
struct Server {
    waiting: BTreeSet<(NextTry, Id)>,
    running: usize,
    /// In a row.
    failures: u32,
    paused_until: Option<Instant>,
}

/// When a deletion is tried. The first tries come before all others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum NextTry {
    /// At once, in the order in which the deletions were added.
    First(u64),
    /// Not before this moment, and not while the server pauses.
    Again(Instant),
}

impl Server {
    /// The next deletion, if one may be tried now.
    fn next(&self, now: Instant) -> Option<(NextTry, Id)> {
        let next = *self.waiting.first()?;
        let may = match next.0 {
            NextTry::First(_) => true,
            // If the server was unreachable, one deletion finds out for all.
            NextTry::Again(due) => {
                due <= now && !self.pauses(now) && (self.failures == 0 || self.running == 0)
            }
        };
        (may && self.running < MAX_RUNNING_PER_SERVER).then_some(next)
    }

    fn pauses(&self, now: Instant) -> bool {
        self.paused_until.is_some_and(|until| until > now)
    }

    /// When the next deletion may be tried, if nothing else happens.
    fn wakes_at(&self) -> Option<Instant> {
        match self.waiting.first()?.0 {
            NextTry::First(_) => None,
            NextTry::Again(due) => Some(self.paused_until.map_or(due, |until| until.max(due))),
        }
    }
}

impl Queue {
    /// An empty queue.
    pub(super) fn new(pauses: Pauses) -> Self {
        let (entries, servers, ends) = (HashMap::new(), HashMap::new(), BTreeSet::new());
        Self { pauses, entries, servers, ends, running: 0, came: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn contains(&self, id: &Id) -> bool {
        self.entries.contains_key(id)
    }

    pub(super) fn iter(&self) -> impl ExactSizeIterator<Item = &RemoteDeletion> {
        self.entries.values().map(|entry| &entry.deletion)
    }

    /// Whether a deletion is being tried, or has not been tried yet.
    pub(super) fn is_asking(&self) -> bool {
        let has_first = |server: &Server| matches!(server.waiting.first(), Some((NextTry::First(_), _)));
        self.running > 0 || self.servers.values().any(has_first)
    }

    /// Adds a deletion. Returns whether it is new.
    pub(super) fn add(&mut self, deletion: RemoteDeletion) -> bool {
        let (id, turn) = (deletion.id, NextTry::First(self.came));
        if self.contains(&id) {
            return false;
        }
        self.came += 1;
        self.ends.insert((deletion.lives_until, id));
        self.server(&deletion.server).waiting.insert((turn, id));
        self.entries.insert(id, Entry { deletion, failures: 0, turn: Some(turn) });
        true
    }

    /// The next deletion to try, if one is due. [`Queue::ended`] has to follow.
    pub(super) fn next(&mut self, now: Instant) -> Option<RemoteDeletion> {
        if self.running >= MAX_RUNNING {
            return None;
        }
        let ready = self.servers.values_mut().filter_map(|server| Some((server.next(now)?, server)));
        let ((turn, id), server) = ready.min_by_key(|(next, server)| (server.running, *next))?;
        server.waiting.remove(&(turn, id));
        let entry = self.entries.get_mut(&id)?;
        entry.turn = None;
        server.running += 1;
        self.running += 1;
        Some(entry.deletion.clone())
    }

    /// Records how a try ended. Returns how often it has ended so in a row, for this deletion or its server.
    pub(super) fn ended(&mut self, id: &Id, tried: Tried, now: Instant) -> u32 {
        let Some(entry) = self.entries.get_mut(id) else { return 0 };
        let Some(server) = self.servers.get_mut(&entry.deletion.server) else { return 0 };
        server.running = server.running.saturating_sub(1);
        self.running = self.running.saturating_sub(1);
        let (in_a_row, due) = match tried {
            Tried::Proven => {
                server.reached();
                self.remove(id);
                return 0;
            }
            Tried::Unproven => {
                server.reached();
                entry.failures += 1;
                (entry.failures, now + self.pauses.after(entry.failures))
            }
            Tried::Unreachable => (server.unreachable(self.pauses, now), now),
        };
        let turn = NextTry::Again(due);
        entry.turn = Some(turn);
        server.waiting.insert((turn, *id));
        if tried == Tried::Unreachable {
            let server = entry.deletion.server.clone();
            self.put_off_first_tries(&server, now);
        }
        in_a_row
    }

    /// The server has just proved unreachable: that also counts for deletions that have not been tried yet.
    fn put_off_first_tries(&mut self, server: &ServerName, now: Instant) {
        let Some(server) = self.servers.get_mut(server) else { return };
        while let Some((NextTry::First(_), id)) = server.waiting.first().copied() {
            server.waiting.pop_first();
            let turn = NextTry::Again(now);
            server.waiting.insert((turn, id));
            if let Some(entry) = self.entries.get_mut(&id) {
                entry.turn = Some(turn);
            }
        }
    }

    /// Takes out the deletions whose lifetime is over by `now`, in Unix seconds. One that is being tried stays until
    /// the try has ended.
    pub(super) fn take_over(&mut self, now: u64) -> Vec<RemoteDeletion> {
        let over = self.ends.iter().take_while(|(end, _)| u64::from(*end) <= now);
        let is_tried = |id: &Id| self.entries.get(id).is_some_and(|entry| entry.turn.is_none());
        let over: Vec<Id> = over.map(|(_, id)| *id).filter(|id| !is_tried(id)).collect();
        over.iter().filter_map(|id| self.remove(id)).collect()
    }

    fn remove(&mut self, id: &Id) -> Option<RemoteDeletion> {
        let Entry { deletion, turn, .. } = self.entries.remove(id)?;
        self.ends.remove(&(deletion.lives_until, *id));
        let server = self.server(&deletion.server);
        if let Some(turn) = turn {
            server.waiting.remove(&(turn, *id));
        }
        if server.waiting.is_empty() && server.running == 0 {
            self.servers.remove(&deletion.server);
        }
        Some(deletion)
    }

    /// The next moment when something is due, if nothing else happens: a try, or the end of a lifetime. `now` is the
    /// same moment on both clocks.
    pub(super) fn wakes_at(&self, (now, unix_now): (Instant, u64)) -> Option<Instant> {
        let tries = self.servers.values().filter_map(Server::wakes_at);
        let ends = self.ends.iter().map(|(end, _)| u64::from(*end)).find(|end| *end > unix_now);
        let end = ends.map(|end| now + Duration::from_secs(end - unix_now));
        // A deletion that is due but still waits is held up by running tries.
        tries.filter(|due| *due > now).chain(end).min()
    }

    fn server(&mut self, name: &ServerName) -> &mut Server {
        // The name is copied only for a new server.
        if !self.servers.contains_key(name) {
            self.servers.insert(name.clone(), Server::default());
        }
        self.servers.entry(name.clone()).or_default()
    }
}

impl Server {
    fn reached(&mut self) {
        self.failures = 0;
        self.paused_until = None;
    }

    /// A try that began before the pause does not prolong it.
    fn unreachable(&mut self, pauses: Pauses, now: Instant) -> u32 {
        if !self.pauses(now) {
            self.failures += 1;
            self.paused_until = Some(now + pauses.after(self.failures));
        }
        self.failures
    }
}
