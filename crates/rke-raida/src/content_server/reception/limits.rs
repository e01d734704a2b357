//! What is kept, and on whose account: limits for each proven coin, for all others together, and for all.
//! Past a limit, the entry unused for longest goes. `docs/protocol.md` section 7, "Who the client is".

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use rke_proto::coin::CoinId;

/// On whose account something is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// A coin that the client has proven.
    Coin(CoinId),
    /// Those who have proven none share one account.
    Unproven,
}

/// How much is kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) per_coin: usize,
    pub(super) unproven: usize,
    pub(super) all: usize,
}

impl Limits {
    fn of(&self, owner: Owner) -> usize {
        match owner {
            Owner::Coin(_) => self.per_coin,
            Owner::Unproven => self.unproven,
        }
    }
}

/// Something that is kept.
pub(super) struct Place<T> {
    pub(super) value: T,
    pub(super) owner: Owner,
    /// In Unix seconds.
    pub(super) expires_at: u64,
    /// The number of its last use.
    used: u64,
}

/// Everything that is kept under ids of one kind.
pub(super) struct Store<I, T> {
    limits: Limits,
    places: HashMap<I, Place<T>>,
    /// Of each owner and of all: the one unused for longest first.
    uses_of: HashMap<Owner, BTreeSet<(u64, I)>>,
    uses: BTreeSet<(u64, I)>,
    expiries: BTreeSet<(u64, I)>,
    /// The number of the next use.
    next_use: u64,
}

impl<I: Copy + Ord + Hash, T> Store<I, T> {
    pub(super) fn new(limits: Limits) -> Self {
        let (places, uses_of) = (HashMap::new(), HashMap::new());
        Self { limits, places, uses_of, uses: BTreeSet::new(), expiries: BTreeSet::new(), next_use: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn get(&self, id: &I) -> Option<&Place<T>> {
        self.places.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &I) -> Option<&mut T> {
        self.places.get_mut(id).map(|place| &mut place.value)
    }

    /// Keeps something until it expires. Gives what had to make room for it: with limits of zero, itself.
    pub(super) fn insert(&mut self, id: I, value: T, owner: Owner, expires_at: u64) -> Vec<(I, Place<T>)> {
        let mut gone: Vec<_> = self.take(&id).map(|place| (id, place)).into_iter().collect();
        let used = self.next_use();
        self.places.insert(id, Place { value, owner, expires_at, used });
        self.uses_of.entry(owner).or_default().insert((used, id));
        self.uses.insert((used, id));
        self.expiries.insert((expires_at, id));
        while let Some(longest_unused) = self.too_many(owner) {
            gone.extend(self.take(&longest_unused).map(|place| (longest_unused, place)));
        }
        gone
    }

    /// What has to go because there is too much, of an owner or in all.
    fn too_many(&self, owner: Owner) -> Option<I> {
        let own = self.uses_of.get(&owner).filter(|own| own.len() > self.limits.of(owner));
        let all = (self.uses.len() > self.limits.all).then_some(&self.uses);
        own.or(all).and_then(BTreeSet::first).map(|(_, id)| *id)
    }

    /// Notes a use.
    pub(super) fn touch(&mut self, id: &I) {
        let now = self.next_use();
        let Some(place) = self.places.get_mut(id) else { return };
        let before = std::mem::replace(&mut place.used, now);
        for uses in [&mut self.uses, self.uses_of.entry(place.owner).or_default()] {
            uses.remove(&(before, *id));
            uses.insert((now, *id));
        }
    }

    fn next_use(&mut self) -> u64 {
        self.next_use += 1;
        self.next_use
    }

    pub(super) fn take(&mut self, id: &I) -> Option<Place<T>> {
        let place = self.places.remove(id)?;
        self.uses.remove(&(place.used, *id));
        self.expiries.remove(&(place.expires_at, *id));
        if let Some(own) = self.uses_of.get_mut(&place.owner) {
            own.remove(&(place.used, *id));
            if own.is_empty() {
                self.uses_of.remove(&place.owner);
            }
        }
        Some(place)
    }

    /// Takes what has expired at `now`.
    pub(super) fn take_expired(&mut self, now: u64) -> Vec<(I, Place<T>)> {
        let due = self.expiries.iter().take_while(|(expires_at, _)| *expires_at <= now);
        let due: Vec<I> = due.map(|(_, id)| *id).collect();
        due.into_iter().filter_map(|id| self.take(&id).map(|place| (id, place))).collect()
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.uses_of.clear();
        self.uses.clear();
        self.expiries.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { per_coin: 2, unproven: 3, all: 5 };

    fn coin(serial: u32) -> Owner {
        Owner::Coin(CoinId { denomination: 0, serial })
    }

    fn insert(store: &mut Store<u32, ()>, id: u32, owner: Owner) -> Vec<u32> {
        store.insert(id, (), owner, 100).into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn an_owner_gives_up_its_own_longest_unused_and_nobody_elses() {
        let mut store = Store::new(LIMITS);
        for (id, owner) in [(1, coin(7)), (2, coin(8)), (3, coin(7))] {
            assert!(insert(&mut store, id, owner).is_empty());
        }
        store.touch(&1);
        assert_eq!(insert(&mut store, 4, coin(7)), [3]);
        assert_eq!(insert(&mut store, 5, coin(7)), [1]);
        assert!(store.get(&2).is_some());
    }

    #[test]
    fn those_without_a_proven_coin_share_one_account() {
        let mut store = Store::new(LIMITS);
        for id in 1..=3 {
            assert!(insert(&mut store, id, Owner::Unproven).is_empty());
        }
        assert_eq!(insert(&mut store, 4, Owner::Unproven), [1]);
    }

    #[test]
    fn a_full_store_gives_up_the_longest_unused_of_all() {
        let mut store = Store::new(LIMITS);
        for id in 1..=5 {
            assert!(insert(&mut store, id, coin(id)).is_empty());
        }
        store.touch(&1);
        assert_eq!(insert(&mut store, 6, coin(6)), [2]);
        assert_eq!(store.len(), 5);
    }

    #[test]
    fn what_expires_goes_in_time_and_leaves_nothing_behind() {
        let mut store = Store::new(LIMITS);
        for (id, expires_at) in [(1, 10), (2, 11)] {
            store.insert(id, (), coin(7), expires_at);
        }
        let expired = |store: &mut Store<u32, ()>, now| -> Vec<u32> {
            store.take_expired(now).into_iter().map(|(id, _)| id).collect()
        };
        assert!(expired(&mut store, 9).is_empty());
        assert_eq!(expired(&mut store, 10), [1]);
        assert_eq!(expired(&mut store, 11), [2]);
        assert!(store.uses.is_empty() && store.uses_of.is_empty() && store.expiries.is_empty());
    }

    #[test]
    fn the_same_id_again_replaces_what_was_there() {
        let mut store = Store::new(LIMITS);
        store.insert(1, 'a', coin(7), 10);
        let gone = store.insert(1, 'b', coin(8), 20);
        assert_eq!(gone.into_iter().map(|(_, place)| place.value).collect::<Vec<_>>(), ['a']);
        assert_eq!((store.len(), store.uses_of.len(), store.expiries.len()), (1, 1, 1));
    }
}
