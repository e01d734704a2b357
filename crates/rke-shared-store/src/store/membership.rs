//! Whether this node is one of those that share the store under the same limits. Others rely on its hold, so it asks for nothing while the
//! store may count it as dead, or does not know it yet.

use std::sync::Mutex;

use tokio::sync::Notify;

use crate::clock::BootTime;
use crate::error::Outage;
use crate::lock::lock;

pub(super) struct Membership {
    state: Mutex<State>,
    /// Asks for another word to the store, at once.
    pub(super) wanted: Notify,
}

#[derive(Clone, Copy)]
enum State {
    /// A program that only asks, and holds nothing.
    Visitor,
    Member {
        until: BootTime,
    },
    /// A new primary does not know this node yet.
    Unknown,
    /// Others share the store under other limits.
    Differs,
}

impl Membership {
    pub(super) fn of_a_visitor() -> Self {
        Self { state: Mutex::new(State::Visitor), wanted: Notify::new() }
    }

    /// # Errors
    /// [`Outage`], if the store may not count on this node.
    pub(super) fn check(&self) -> Result<(), Outage> {
        match *lock(&self.state) {
            State::Visitor => Ok(()),
            State::Member { until } if BootTime::now() < until => Ok(()),
            State::Member { .. } | State::Unknown => Err(Outage::NotJoined),
            State::Differs => Err(Outage::OtherLimits),
        }
    }

    /// The store knows this node, until then at least.
    pub(super) fn join(&self, until: BootTime) {
        *lock(&self.state) = State::Member { until };
    }

    /// Others have other limits.
    pub(super) fn differ(&self) {
        *lock(&self.state) = State::Differs;
    }

    /// A new primary has taken over. The node has to join again first.
    pub(super) fn begin_again(&self) {
        let mut state = lock(&self.state);
        if let State::Member { .. } = *state {
            *state = State::Unknown;
            self.wanted.notify_one();
        }
    }
}
