//! Which clients have promised another key, and until when. What a client that is late has set last stays set, so the
//! operator has to be notified.

use std::collections::HashMap;
use std::time::Duration;

use rke_proto::coin::CoinId;
use tokio::time::Instant;

use crate::content_server::application::KeyTarget;

/// A key is missed once this many intervals have passed.
const INTERVALS: u32 = 2;

/// The most promises of one coin. Names are the client's choice, so without a limit its promises would fill the memory.
const EACH: usize = 64;

/// The keys that are to be renewed, by the coin of their client: no client can take back what another has promised.
#[derive(Default)]
pub(in super::super) struct Overdue(HashMap<CoinId, HashMap<KeyTarget, Instant>>);

/// A coin has as many promises as it may have, so nobody will notice if this key is late.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooManyPromises;

impl Overdue {
    /// Expects the next key of a target within some seconds, or none if they are 0.
    pub(super) fn expect(
        &mut self,
        coin: CoinId,
        target: &KeyTarget,
        every: u32,
    ) -> Result<(), TooManyPromises> {
        let promises = self.0.entry(coin).or_default();
        promises.remove(target);
        let outcome = match every {
            0 => Ok(()),
            _ if promises.len() >= EACH => Err(TooManyPromises),
            _ => {
                let within = Duration::from_secs(every.into()) * INTERVALS;
                promises.insert(target.clone(), Instant::now() + within);
                Ok(())
            }
        };
        if promises.is_empty() {
            self.0.remove(&coin);
        }
        outcome
    }

    /// The targets whose key is late, with their client's coin. Each is reported once.
    pub(super) fn take(&mut self) -> Vec<(CoinId, KeyTarget)> {
        let now = Instant::now();
        let late = self.0.iter_mut().flat_map(|(coin, promises)| {
            promises.extract_if(|_, until| *until <= now).map(|(target, _)| (*coin, target))
        });
        let late = late.collect();
        self.0.retain(|_, promises| !promises.is_empty());
        late
    }
}

#[cfg(test)]
mod tests {
    use rke_proto::preshared::Name;

    use super::*;

    const COIN: CoinId = CoinId { denomination: 0, serial: 1 };
    const OTHER: CoinId = CoinId { denomination: 0, serial: 2 };

    fn target(name: &str) -> KeyTarget {
        KeyTarget::Named(Name::new(name).expect("a name"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_that_is_not_renewed_is_missed_once() {
        let mut overdue = Overdue::default();
        for (name, every) in [("late", 2), ("in-time", 3), ("once", 0)] {
            assert_eq!(overdue.expect(COIN, &target(name), every), Ok(()));
        }
        tokio::time::advance(Duration::from_millis(3999)).await;
        assert!(overdue.take().is_empty());
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(overdue.take(), [(COIN, target("late"))]);
        assert!(overdue.take().is_empty());
        assert_eq!(overdue.expect(COIN, &target("in-time"), 0), Ok(()));
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(overdue.take().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn no_client_takes_back_the_promise_of_another() {
        let mut overdue = Overdue::default();
        assert_eq!(overdue.expect(COIN, &target("vpn"), 2), Ok(()));
        assert_eq!(overdue.expect(OTHER, &target("vpn"), 0), Ok(()));
        tokio::time::advance(Duration::from_secs(4)).await;
        assert_eq!(overdue.take(), [(COIN, target("vpn"))]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_coin_has_a_limited_number_of_promises() {
        let mut overdue = Overdue::default();
        for at in 0..EACH {
            assert_eq!(overdue.expect(COIN, &target(&format!("name-{at}")), 60), Ok(()));
        }
        assert_eq!(overdue.expect(COIN, &target("one-more"), 60), Err(TooManyPromises));
        // A renewal takes no further place, and other coins have places of their own.
        assert_eq!(overdue.expect(COIN, &target("name-0"), 60), Ok(()));
        assert_eq!(overdue.expect(OTHER, &target("one-more"), 60), Ok(()));
        tokio::time::advance(Duration::from_secs(120)).await;
        assert_eq!(overdue.take().len(), EACH + 1);
        assert!(overdue.0.is_empty());
    }
}
