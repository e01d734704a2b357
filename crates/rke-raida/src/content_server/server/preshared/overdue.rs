//! Which clients have promised another key, and until when. What a client that is late has set last stays set, so the
//! operator has to be notified.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::content_server::application::KeyTarget;

/// A key is missed once this many intervals have passed.
const INTERVALS: u32 = 2;

/// The keys that are to be renewed.
#[derive(Default)]
pub(in super::super) struct Overdue(HashMap<String, Instant>);

impl Overdue {
    /// Expects the next key of a target within some seconds, or none if they are 0.
    pub(super) fn expect(&mut self, target: &KeyTarget, every: u32) {
        let name = target.to_string();
        self.0.remove(&name);
        if every > 0 {
            let within = Duration::from_secs(every.into()) * INTERVALS;
            self.0.insert(name, Instant::now() + within);
        }
    }

    /// The targets whose key is late. Each is reported once.
    pub(in super::super) fn take(&mut self) -> Vec<String> {
        let now = Instant::now();
        self.0.extract_if(|_, until| *until <= now).map(|(name, _)| name).collect()
    }
}

#[cfg(test)]
mod tests {
    use rke_proto::preshared::Name;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_not_renewed_is_missed_once() {
        let target = |name| KeyTarget::Named(Name::new(name).expect("a name"));
        let mut overdue = Overdue::default();
        overdue.expect(&target("late"), 2);
        overdue.expect(&target("in-time"), 3);
        overdue.expect(&target("once"), 0);
        tokio::time::advance(Duration::from_millis(3999)).await;
        assert!(overdue.take().is_empty());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(overdue.take(), ["late"]);
        assert!(overdue.take().is_empty());
        overdue.expect(&target("in-time"), 0);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(overdue.take().is_empty());
    }
}
