//! Who owns each stored entry: limits for each proven coin, for everyone else together, and for all. At a limit, the
//! least recently used entry is removed. `docs/protocol.md` section 7, "Who the client is".

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

use rke_proto::coin::CoinId;

/// The account that an entry counts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Owner {
    /// A coin that the client has proved.
    Coin(CoinId),
    /// All clients without a proven coin share one account.
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

/// A stored entry.
pub(super) struct Place<T> {
    pub(super) value: T,
    pub(super) owner: Owner,
    /// In Unix seconds.
    pub(super) expires_at: u64,
    /// The number of its last use.
    used: u64,
}

/// All entries under ids of one kind.
pub(super) struct Store<I, T> {
    limits: Limits,
    places: HashMap<I, Place<T>>,
    /// Uses of each owner's entries, the least recent first.
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

    /// Replaces the limits. What is over a lower one goes at the next insertion.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The number of an owner's entries.
    pub(super) fn len_of(&self, owner: Owner) -> usize {
        self.uses_of.get(&owner).map_or(0, BTreeSet::len)
    }

    /// All entries, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&I, &Place<T>)> {
        self.places.iter()
    }

    pub(super) fn get(&self, id: &I) -> Option<&Place<T>> {
        self.places.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &I) -> Option<&mut T> {
        self.places.get_mut(id).map(|place| &mut place.value)
    }

    /// Stores an entry until it expires. Returns the entries that it displaced, which with limits of zero is the new
    /// one itself.
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

    /// The entry to remove if the owner or the store is over its limit.
    fn too_many(&self, owner: Owner) -> Option<I> {
        let own = self.uses_of.get(&owner).filter(|own| own.len() > self.limits.of(owner));
        let all = (self.uses.len() > self.limits.all).then_some(&self.uses);
        own.or(all).and_then(BTreeSet::first).map(|(_, id)| *id)
    }

    /// Records a use.
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

    /// Removes and returns what has expired at `now`.
    pub(super) fn take_expired(&mut self, now: u64) -> Vec<(I, Place<T>)> {
        let due = self.expiries.iter().take_while(|(expires_at, _)| *expires_at <= now);
        let due: Vec<I> = due.map(|(_, id)| *id).collect();
        due.into_iter().filter_map(|id| self.take(&id).map(|place| (id, place))).collect()
    }

    /// Removes and returns everything.
    pub(super) fn take_all(&mut self) -> Vec<(I, Place<T>)> {
        self.take_expired(u64::MAX)
    }

    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.uses_of.clear();
        self.uses.clear();
        self.expiries.clear();
    }
}

#[cfg(test)]
mod tests;
