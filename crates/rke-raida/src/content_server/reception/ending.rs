//! Notifies the connections and handshakes of a key when the key is removed, and waits until all of them have closed.

use tokio::sync::watch;

/// Why the connections of a key are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The client asked the server to forget the key.
    Deleted,
    /// Its lifetime is over.
    Expired,
    /// Another key needed its place.
    Evicted,
    /// Other instances share it, and nobody could confirm in time that it still exists.
    NotHeld,
}

/// The half that the key has. It notifies all watchers why the key has ended.
pub(super) struct EndNotifier(watch::Sender<Option<Ending>>);

/// The half that a connection or a handshake has.
#[derive(Debug, Clone)]
pub struct EndWatcher(watch::Receiver<Option<Ending>>);

/// A removed key whose connections may still be open.
#[derive(Debug)]
pub struct Closing(watch::Sender<Option<Ending>>);

impl EndNotifier {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    pub(super) fn subscribe(&self) -> EndWatcher {
        EndWatcher(self.0.subscribe())
    }

    /// Whether a connection or a handshake watches.
    pub(super) fn is_watched(&self) -> bool {
        self.0.receiver_count() > 0
    }

    /// Notifies all watchers.
    pub(super) fn end(self, ending: Ending) -> Closing {
        self.0.send_replace(Some(ending));
        Closing(self.0)
    }
}

impl EndWatcher {
    /// Waits until the key is removed. Cancel safe.
    pub async fn wait(&mut self) -> Ending {
        match self.0.wait_for(Option::is_some).await {
            Ok(ending) => ending.unwrap_or(Ending::Deleted),
            // The notifier was dropped with the whole store.
            Err(_) => Ending::Deleted,
        }
    }

    /// The reason, if the key has been removed.
    pub fn ending(&self) -> Option<Ending> {
        *self.0.borrow()
    }
}

impl Closing {
    /// For a key that had no connection.
    pub(in crate::content_server) fn without_connections() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Waits until all watchers are dropped, so all connections are closed.
    pub async fn wait(&self) {
        self.0.closed().await;
    }

    /// Whether all connections are closed.
    pub fn is_complete(&self) -> bool {
        self.0.is_closed()
    }
}
