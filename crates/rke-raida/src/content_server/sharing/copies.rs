//! The copies of shared secrets that this instance has, and until when it may use each.
//!
//! Lock order: the store's table of holds, then ours, then the reception.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rke_host::usage::KeyUse;
use rke_proto::handshake::ID_LEN;
use rke_secret::Secret;
use rke_shared_store::{Block, BootTime, Held, Holder, Id, Need, Stopped};

use crate::clock::unix_seconds;
use crate::content_server::reception::{About, Closing, Ending, Reception, SecretKind, SharedSecret};

/// A reception that connections and the store's announcements use.
pub(in crate::content_server) type SharedReception = Arc<Mutex<Reception>>;

/// How often a secret that is in use all the time counts as used, so that others of its owner make room before it.
const NOTED_EVERY: Duration = Duration::from_secs(10);

/// The copies of one kind of secret.
pub(super) struct Copies {
    kind: SecretKind,
    reception: SharedReception,
    /// A copy whose hold is over this soon is fetched again first: its use might come too late.
    margin: Duration,
    holds: Mutex<HashMap<[u8; ID_LEN], Hold>>,
    /// Connections of wiped copies that may still be open.
    closing: Mutex<Vec<Arc<Closing>>>,
}

struct Hold {
    /// From then on the copy must not be used.
    until: BootTime,
    /// When the secret ends.
    ends: BootTime,
    /// When its use was last noted in the store.
    noted: BootTime,
    is_being_extended: bool,
}

/// Whether a copy can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// It is not here.
    Missing,
    /// It may not encrypt as much.
    Short,
    Held,
}

/// A copy whose hold is to be extended, because something uses it.
pub(super) struct Due {
    pub(super) id: [u8; ID_LEN],
    pub(super) note_use: bool,
}

/// A copy that was wiped because its hold is over, and what it has not encrypted of what it might have.
pub(super) struct Over {
    pub(super) id: [u8; ID_LEN],
    pub(super) unused: Block,
}

impl Copies {
    pub(super) fn new(kind: SecretKind, reception: SharedReception, margin: Duration) -> Self {
        Self { kind, reception, margin, holds: Mutex::default(), closing: Mutex::default() }
    }

    pub(super) fn reception(&self) -> MutexGuard<'_, Reception> {
        lock(&self.reception)
    }

    pub(super) fn kind(&self) -> SecretKind {
        self.kind
    }

    pub(super) fn standing(&self, id: &[u8; ID_LEN], need: Need) -> Standing {
        let soon = BootTime::now().after(self.margin);
        if lock(&self.holds).get(id).is_none_or(|hold| hold.until <= soon) {
            return Standing::Missing;
        }
        match self.reception().granted(self.kind, id) {
            None => Standing::Missing,
            Some((messages, bytes)) if messages < need.messages || bytes < need.bytes => Standing::Short,
            Some(_) => Standing::Held,
        }
    }

    /// Whether a copy may be used at this moment.
    pub(super) fn is_held(&self, id: &[u8; ID_LEN]) -> bool {
        lock(&self.holds).get(id).is_some_and(|hold| BootTime::now() < hold.until)
    }

    /// Until when the secret lives, if its copy is here.
    pub(super) fn left(&self, id: &[u8; ID_LEN]) -> Option<Duration> {
        lock(&self.holds).get(id).map(|hold| hold.ends.since(BootTime::now()))
    }

    /// Puts a copy here, or lets the one that is here be used for longer. `false` if it is not one of this version.
    pub(super) fn install(&self, id: [u8; ID_LEN], secret: Secret<32>, about: About, held: Held) -> bool {
        let mut holds = lock(&self.holds);
        let left = held.ends.since(BootTime::now());
        let shared = SharedSecret { id, secret, about };
        let mut reception = self.reception();
        if !reception.hold(self.kind, shared, unix_seconds().saturating_add(left.as_secs()).saturating_add(1))
        {
            return false;
        }
        reception.grant(&id, held.block.messages, held.block.bytes);
        let noted = BootTime::now();
        holds.insert(id, Hold { until: held.until, ends: held.ends, noted, is_being_extended: false });
        true
    }

    /// Lets a copy be used for longer.
    pub(super) fn extend(&self, id: &[u8; ID_LEN], held: Held) {
        if let Some(hold) = lock(&self.holds).get_mut(id) {
            hold.until = hold.until.max(held.until);
            hold.ends = held.ends;
            self.reception().grant(id, held.block.messages, held.block.bytes);
        }
    }

    /// An attempt to extend a hold is over.
    pub(super) fn extended(&self, id: &[u8; ID_LEN]) {
        if let Some(hold) = lock(&self.holds).get_mut(id) {
            hold.is_being_extended = false;
        }
    }

    /// The copies in use whose holds have less than `margin` left. Call [`Copies::extended`] for each.
    pub(super) fn due(&self, margin: Duration) -> Vec<Due> {
        let now = BootTime::now();
        let mut holds = lock(&self.holds);
        let reception = self.reception();
        let mut due = Vec::new();
        for (id, hold) in holds.iter_mut() {
            let is_due = !hold.is_being_extended && hold.until.since(now) < margin;
            if is_due && reception.is_in_use(self.kind, id) {
                let note_use = now.since(hold.noted) > NOTED_EVERY;
                if note_use {
                    hold.noted = now;
                }
                hold.is_being_extended = true;
                due.push(Due { id: *id, note_use });
            }
        }
        due
    }

    /// When the next hold is over.
    pub(super) fn next_end(&self) -> Option<BootTime> {
        lock(&self.holds).values().map(|hold| hold.until).min()
    }

    /// Wipes the copies whose holds are over, and cuts their connections.
    pub(super) fn wipe_over(&self) -> Vec<Over> {
        let now = BootTime::now();
        let mut holds = lock(&self.holds);
        let over: Vec<_> = holds.extract_if(|_, hold| hold.until <= now).collect();
        let mut wiped = Vec::new();
        for (id, hold) in over {
            let mut reception = self.reception();
            let (messages, bytes) = reception.granted(self.kind, &id).unwrap_or_default();
            let ending = if hold.ends <= now { Ending::Expired } else { Ending::NotHeld };
            reception.wipe(self.kind, &id, ending);
            wiped.push(Over { id, unused: Block { messages, bytes } });
        }
        wiped
    }

    /// Wipes a copy.
    pub(super) fn end(&self, id: &[u8; ID_LEN], ending: Ending) {
        let mut holds = lock(&self.holds);
        holds.remove(id);
        let closing = self.reception().wipe(self.kind, id, ending);
        let mut waiting = lock(&self.closing);
        waiting.retain(|closing| !closing.is_complete());
        waiting.extend(closing.map(Arc::new));
    }
}

impl Holder for Copies {
    fn wipe(&self, id: &Id) {
        self.end(&id.0, Ending::Deleted);
    }

    fn stopped(&self) -> Stopped<'_> {
        let closing = lock(&self.closing).clone();
        Box::pin(async move {
            for closing in closing {
                closing.wait().await;
            }
        })
    }
}

/// What a use needs.
pub(super) fn need_of(key_use: KeyUse) -> Need {
    let (messages, bytes) = key_use.encrypts();
    Need { messages, bytes }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
