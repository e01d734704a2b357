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
