//! The open tunnels, by session. A session that ends breaks off its tunnels, and a daemon that stops breaks off all.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rke_proto::handshake::BreakCode;
use tokio::sync::{Notify, watch};

use crate::model::session_id::SessionId;

/// The open tunnels.
#[derive(Default)]
pub(crate) struct Tunnels {
    all: Mutex<All>,
    /// Notified when the last tunnel is gone.
    none_left: Notify,
}

#[derive(Default)]
struct All {
    /// Holds only sessions that have a tunnel.
    by_session: HashMap<SessionId, Open>,
    /// Why the Content Server broke off the session's most recently ended tunnel. Holds only sessions that have not
    /// ended.
    broken_off: HashMap<SessionId, String>,
    /// Those for which the Content Server had no key when their latest tunnel was opened. Holds only sessions that have
    /// not ended.
    key_gone: HashSet<SessionId>,
    is_stopping: bool,
}

struct Open {
    count: usize,
    /// Why the session's tunnels are broken off, once they are.
    cut: watch::Sender<Option<BreakCode>>,
}

impl Open {
    /// The first reason is kept.
    fn cut(&self, code: BreakCode) {
        self.cut.send_if_modified(|reason| reason.is_none() && reason.replace(code).is_none());
    }
}

/// An open tunnel, until this is dropped.
pub(crate) struct OpenTunnel {
    tunnels: Arc<Tunnels>,
    id: SessionId,
    cut: watch::Receiver<Option<BreakCode>>,
}

impl Tunnels {
    /// Notes that a session has a tunnel. Call this before the session is looked up, so that its end is not missed.
    pub(crate) fn open(self: &Arc<Self>, id: SessionId) -> OpenTunnel {
        let mut all = self.lock();
        let stopping = all.is_stopping.then_some(BreakCode::Stopping);
        let new = || Open { count: 0, cut: watch::Sender::new(stopping) };
        let entry = all.by_session.entry(id).or_insert_with(new);
        entry.count += 1;
        OpenTunnel { tunnels: Arc::clone(self), id, cut: entry.cut.subscribe() }
    }

    /// Breaks off the tunnels of a session that has ended.
    pub(crate) fn cut(&self, id: SessionId, code: BreakCode) {
        let mut all = self.lock();
        all.broken_off.remove(&id);
        all.key_gone.remove(&id);
        if let Some(open) = all.by_session.get(&id) {
            open.cut(code);
        }
    }

    /// Why the Content Server broke off the session's most recently ended tunnel, if it did.
    pub(crate) fn broken_off(&self, id: SessionId) -> Option<String> {
        self.lock().broken_off.get(&id).cloned()
    }

    /// Whether the Content Server had no key for the session when its latest tunnel was opened.
    pub(crate) fn is_key_gone(&self, id: SessionId) -> bool {
        self.lock().key_gone.contains(&id)
    }

    /// Breaks off all tunnels because the daemon stops, and waits until the last one is gone.
    pub(crate) async fn stop(&self) {
        let mut none_left = pin!(self.none_left.notified());
        none_left.as_mut().enable();
        {
            let mut all = self.lock();
            all.is_stopping = true;
            all.by_session.values().for_each(|open| open.cut(BreakCode::Stopping));
            if all.by_session.is_empty() {
                return;
            }
        }
        none_left.await;
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OpenTunnel {
    /// Waits until the tunnel is broken off, and returns why.
    pub(crate) async fn cut(&mut self) -> BreakCode {
        let cut = self.cut.wait_for(Option::is_some).await;
        cut.ok().and_then(|code| *code).unwrap_or(BreakCode::Other)
    }

    /// Notes whether the Content Server had no key for the session when this tunnel was opened.
    pub(crate) fn note_key_gone(&self, is_gone: bool) {
        let mut all = self.tunnels.lock();
        let session_lives = self.cut.borrow().is_none();
        match is_gone && session_lives {
            true => all.key_gone.insert(self.id),
            false => all.key_gone.remove(&self.id),
        };
    }

    /// Notes that the tunnel has ended, and why if the Content Server broke it off.
    pub(crate) fn ended(&self, broken_off: Option<String>) {
        let mut all = self.tunnels.lock();
        let session_lives = self.cut.borrow().is_none();
        match broken_off.filter(|_| session_lives) {
            Some(reason) => all.broken_off.insert(self.id, reason),
            None => all.broken_off.remove(&self.id),
        };
    }
}

impl Drop for OpenTunnel {
    fn drop(&mut self) {
        let mut all = self.tunnels.lock();
        let is_last = all.by_session.get_mut(&self.id).is_some_and(|open| {
            open.count -= 1;
            open.count == 0
        });
        if is_last {
            all.by_session.remove(&self.id);
        }
        if all.by_session.is_empty() {
            self.tunnels.none_left.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
