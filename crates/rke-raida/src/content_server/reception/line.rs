//! What the connections and handshakes of a key hang on: it tells them when the key is gone, and its end waits for theirs.

use tokio::sync::watch;

/// Why the connections of a key are broken off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The other end has asked to have the key forgotten.
    Deleted,
    /// Its lifetime is over.
    Expired,
    /// It had to make room for another.
    GivenUp,
}

/// A key's end of it.
pub(super) struct Line(watch::Sender<Option<Ending>>);

/// A connection's end of it.
#[derive(Debug, Clone)]
pub struct OnLine(watch::Receiver<Option<Ending>>);

/// A line that has ended. Connections may still be on it.
#[derive(Debug)]
pub struct Closing(watch::Sender<Option<Ending>>);

impl Line {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(None))
    }

    pub(super) fn join(&self) -> OnLine {
        OnLine(self.0.subscribe())
    }

    /// Tells all that are on it.
    pub(super) fn end(self, ending: Ending) -> Closing {
        self.0.send_replace(Some(ending));
        Closing(self.0)
    }
}

impl OnLine {
    /// Waits for the end. May be dropped while it waits.
    pub async fn ended(&mut self) -> Ending {
        match self.0.wait_for(Option::is_some).await {
            Ok(ending) => ending.unwrap_or(Ending::Deleted),
            // The key went with everything else.
            Err(_) => Ending::Deleted,
        }
    }

    /// The end, if it has come.
    pub fn ending(&self) -> Option<Ending> {
        *self.0.borrow()
    }
}

impl Closing {
    /// A line that nobody was on.
    pub(super) fn of_nobody() -> Self {
        Self(watch::Sender::new(None))
    }

    /// Waits until no connection is on it.
    pub async fn done(self) {
        self.0.closed().await;
    }

    /// Whether no connection is on it.
    pub fn is_done(&self) -> bool {
        self.0.is_closed()
    }
}
