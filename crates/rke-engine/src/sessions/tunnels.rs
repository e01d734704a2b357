//! The tunnels that are open, by session: a session that ends breaks off those that it has, and a daemon that stops all.

use std::collections::HashMap;
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
    /// A session without a tunnel is not in it.
    by_session: HashMap<SessionId, Open>,
    /// Why the Content Server broke off the tunnel of a session that ended last. A session that has ended is not in it.
    broken_off: HashMap<SessionId, String>,
    is_stopping: bool,
}

struct Open {
    count: usize,
    /// Why the session's tunnels are broken off, once they are.
    cut: watch::Sender<Option<BreakCode>>,
}

impl Open {
    /// The first reason holds.
    fn cut(&self, code: BreakCode) {
        self.cut.send_if_modified(|reason| reason.is_none() && reason.replace(code).is_none());
    }
}

/// A tunnel that is open, until this is dropped.
pub(crate) struct OpenTunnel {
    tunnels: Arc<Tunnels>,
    id: SessionId,
    cut: watch::Receiver<Option<BreakCode>>,
}

impl Tunnels {
    /// Notes that a session has a tunnel. To be called before the session is looked up, so that its end is not missed.
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
        if let Some(open) = all.by_session.get(&id) {
            open.cut(code);
        }
    }

    /// Why the Content Server broke off the session's tunnel that ended last, if it did.
    pub(crate) fn broken_off(&self, id: SessionId) -> Option<String> {
        self.lock().broken_off.get(&id).cloned()
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
    /// Waits until the session has ended, and says how.
    pub(crate) async fn cut(&mut self) -> BreakCode {
        let cut = self.cut.wait_for(Option::is_some).await;
        cut.ok().and_then(|code| *code).unwrap_or(BreakCode::Other)
    }

    /// Notes that the tunnel has ended, and why where the Content Server broke it off.
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
mod tests {
    use super::*;

    fn id(byte: u8) -> SessionId {
        SessionId::parse(&format!("{byte:02x}").repeat(16)).expect("an id")
    }

    #[tokio::test]
    async fn all_tunnels_of_a_session_are_cut_and_no_others() {
        let tunnels = Arc::new(Tunnels::default());
        let [mut first, mut second, mut other] = [1, 1, 2].map(|byte| tunnels.open(id(byte)));
        tunnels.cut(id(1), BreakCode::Expired);
        assert_eq!((first.cut().await, second.cut().await), (BreakCode::Expired, BreakCode::Expired));
        tokio::select! {
            biased;
            _ = other.cut() => panic!("another session's tunnel was cut"),
            () = std::future::ready(()) => (),
        }
        drop((first, second, other));
        assert!(tunnels.lock().by_session.is_empty());
    }

    #[tokio::test]
    async fn the_last_reason_is_kept_as_long_as_the_session_lives() {
        let tunnels = Arc::new(Tunnels::default());
        let [first, second] = [1, 1].map(|byte| tunnels.open(id(byte)));
        first.ended(Some("busy".into()));
        assert_eq!(tunnels.broken_off(id(1)).as_deref(), Some("busy"));
        assert_eq!(tunnels.broken_off(id(2)), None);
        second.ended(None);
        assert_eq!(tunnels.broken_off(id(1)), None, "another one ended after it");
        second.ended(Some("busy".into()));
        tunnels.cut(id(1), BreakCode::Deleted);
        first.ended(Some("late".into()));
        assert!(tunnels.lock().broken_off.is_empty());
    }

    #[tokio::test]
    async fn a_stop_waits_for_the_last_tunnel_and_lets_none_begin() {
        let tunnels = Arc::new(Tunnels::default());
        let [mut deleted, mut other] = [1, 2].map(|byte| tunnels.open(id(byte)));
        tunnels.cut(id(1), BreakCode::Deleted);
        let mut stop = pin!(tunnels.stop());
        assert!(futures_util::poll!(&mut stop).is_pending());
        assert_eq!((deleted.cut().await, other.cut().await), (BreakCode::Deleted, BreakCode::Stopping));
        assert_eq!(tunnels.open(id(3)).cut().await, BreakCode::Stopping);
        drop(deleted);
        assert!(futures_util::poll!(&mut stop).is_pending());
        drop(other);
        assert!(futures_util::poll!(&mut stop).is_ready());
        tunnels.stop().await;
    }
}
