use std::collections::BTreeMap;
use std::time::Duration;

use super::super::samples::session;
use super::super::tests::{id, rules};
use super::*;

/// Moments on one time line, in seconds from its start.
fn timeline() -> impl Fn(u64) -> Moment {
    let start = Moment::now();
    move |seconds| start.after(Duration::from_secs(seconds))
}

fn is_live(shard: &mut Shard, byte: u8, now: Moment) -> bool {
    shard.live(id(byte), now).is_some()
}

/// Sweeps at `now`. Returns the sessions that have ended, and the next deadline.
fn swept(shard: &mut Shard, now: Moment) -> (Vec<u8>, Option<Moment>) {
    let mut ended = Vec::new();
    let next = shard.take_ended(now, usize::MAX, &mut ended);
    (ended.iter().map(|(id, _)| id.as_bytes()[0]).collect(), next)
}

/// Compares the shard with a plain map of its sessions and their deadlines, and checks that neither the map nor the
/// deadlines keep more memory than allowed.
fn check(shard: &Shard, model: &BTreeMap<SessionId, Moment>) {
    let all: BTreeMap<_, _> = shard.entries.iter().map(|entry| (entry.id, entry.queued)).collect();
    assert!(all == *model && shard.len() == model.len());
    assert_eq!(shard.first_deadline, model.values().min().copied());
    assert_eq!(shard.first().map(|(deadline, _)| deadline), shard.first_deadline);
    let (room, len) = (shard.entries.capacity(), shard.len());
    assert!(room <= SPARE_ROOM.max(4 * (len + 1)), "room for {room}, {len} are there");
    assert!(shard.deadlines.len() <= 2 * len + SPARE + 1);
}

#[test]
fn it_holds_what_a_plain_map_would_through_any_order_of_insertions_and_removals() {
    let (mut shard, mut model) = (Shard::new(rules(1, Duration::ZERO)), BTreeMap::new());
    let ids: Vec<SessionId> = (0..200).map(|_| SessionId::random().expect("random bytes")).collect();
    assert!(shard.take(ids[0]).is_none());
    let start = Moment::now();
    for step in 0..20_000_usize {
        // Few ids, so that the map shrinks and grows repeatedly. It grows in the first steps.
        let id = ids[(step * step + step / 7) % ids.len()];
        if let Some(queued) = model.remove(&id) {
            assert!(shard.take(id).is_some_and(|taken| taken.end == queued));
            assert!(shard.take(id).is_none());
        } else {
            // The deadlines follow another order than the insertions.
            shard.rules.ttl = Duration::from_secs(60 + (step * 7919 % 997) as u64);
            let now = start.after(Duration::from_nanos(step as u64));
            model.insert(id, shard.insert(id, session(0), now).1);
        }
        if step % 50 == 0 {
            check(&shard, &model);
        }
    }
    for id in ids {
        check(&shard, &model);
        assert_eq!(shard.take(id).is_some(), model.remove(&id).is_some());
    }
    check(&shard, &model);
}

#[test]
fn among_many_a_session_takes_little_beside_its_keys() {
    // glibc adds 8 bytes to each block and rounds up to 16. With two places of the table per entry, a session takes 210 bytes.
    assert!(size_of::<Entry>() <= 184, "{}", size_of::<Entry>());
}

#[test]
fn deadlines_of_sessions_that_are_gone_do_not_pile_up() {
    let mut shard = Shard::new(rules(16, Duration::from_secs(60)));
    // The first deadline stays, so that no deadline is dropped because it comes first.
    let now = Moment::now();
    shard.insert(id(0), session(0), now);
    for round in 0..1000_u32 {
        let id = id((round % 200) as u8 + 1);
        shard.insert(id, session(1), now.after(Duration::from_millis(u64::from(round) + 1)));
        assert!(shard.take(id).is_some());
    }
    assert!(shard.deadlines.len() <= 2 + SPARE, "{}", shard.deadlines.len());
    assert_eq!(shard.first().map(|(_, first)| first == id(0)), Some(true));
    assert!(shard.take(id(0)).is_some() && shard.first().is_none());
}

#[test]
fn the_room_of_many_deadlines_is_given_up_when_few_are_left() {
    let mut shard = Shard::new(rules(16, Duration::from_secs(60)));
    let ids: Vec<SessionId> = (0..2000_u128).map(|number| SessionId(number.to_be_bytes())).collect();
    let at = timeline();
    for (id, seconds) in ids.iter().zip(0..) {
        shard.insert(*id, session(1), at(seconds));
    }
    let most = shard.deadlines.capacity();
    // The first deadline stays, so that no deadline is dropped because it comes first.
    assert!(most >= 2000 && ids[1..].iter().all(|id| shard.take(*id).is_some()));
    assert!(shard.deadlines.capacity() <= most / 4, "{} of {most}", shard.deadlines.capacity());
}

#[test]
fn what_is_swept_next_is_there_whatever_went_or_moved_before_it() {
    let (short, long) = (rules(16, Duration::from_secs(60)), rules(16, Duration::from_secs(600)));
    let (mut shard, at) = (Shard::new(short), timeline());
    for byte in 0..4 {
        shard.insert(id(byte), session(byte), at(byte.into()));
    }
    shard.rules = long;
    shard.insert(id(9), session(9), at(4));
    // The second moves behind all others; the third goes, then the first, which uncovers both outdated deadlines.
    assert!(shard.renew(id(1), at(5)).is_some());
    shard.rules = short;
    assert!(shard.take(id(2)).is_some() && shard.take(id(0)).is_some());
    assert_eq!((shard.count_ended(at(62)), shard.count_ended(at(63))), (0, 1));
    assert_eq!(swept(&mut shard, at(66)), (vec![3], Some(at(604))));
    assert_eq!(shard.len(), 2);
}

#[test]
fn an_idle_session_ends_and_one_that_is_used_in_any_way_does_not() {
    let (idle, at) = (Some(Duration::from_secs(3)), timeline());
    let mut shard = Shard::new(SessionLimits { idle, ..rules(16, Duration::from_secs(60)) });
    for byte in [1, 2] {
        shard.insert(id(byte), session(byte), at(0));
    }
    let uses = [
        KeyUse::Encrypt(1),
        KeyUse::Decrypt,
        KeyUse::EncryptMore(1),
        KeyUse::DecryptMore,
        KeyUse::Send(1),
        KeyUse::Receive,
        KeyUse::Tunnel,
    ];
    for (key_use, seconds) in uses.into_iter().zip((2..).step_by(2)) {
        assert!(shard.use_key(id(1), key_use, at(seconds), |_| ()).is_ok(), "{key_use:?}");
        assert_eq!(is_live(&mut shard, 2, at(seconds)), seconds < 3);
    }
    assert_eq!((is_live(&mut shard, 1, at(16)), is_live(&mut shard, 1, at(17))), (true, false));
    assert_eq!(swept(&mut shard, at(2)), (vec![], Some(at(3))), "nothing before its end");
    assert_eq!(
        swept(&mut shard, at(3)),
        (vec![2], Some(at(17))),
        "the other one has its place by its last use"
    );
    assert_eq!(shard.use_key(id(1), KeyUse::Decrypt, at(17), |_| ()), Err(KeyError::NotFound));
    assert_eq!(swept(&mut shard, at(17)), (vec![1], None));
}

#[test]
fn uses_do_not_outlive_the_lifetime() {
    let (idle, at) = (Some(Duration::from_secs(30)), timeline());
    let mut shard = Shard::new(SessionLimits { idle, ..rules(16, Duration::from_secs(60)) });
    shard.insert(id(1), session(1), at(0));
    for seconds in [20, 40, 59] {
        assert!(shard.use_key(id(1), KeyUse::Decrypt, at(seconds), |_| ()).is_ok());
    }
    assert_eq!((is_live(&mut shard, 1, at(59)), is_live(&mut shard, 1, at(60))), (true, false));
}

#[test]
fn a_renewed_session_lives_on_but_not_for_ever() {
    let (ttl, at) = (Duration::from_secs(60), timeline());
    let mut shard = Shard::new(SessionLimits { max_lifetime: ttl * 2, ..rules(16, ttl) });
    shard.insert(id(1), session(1), at(0));
    assert!(shard.renew(id(1), at(30)).is_some() && shard.renew(id(2), at(30)).is_none());
    assert_eq!((is_live(&mut shard, 1, at(89)), is_live(&mut shard, 1, at(90))), (true, false));
    assert!(shard.renew(id(1), at(75)).is_some(), "past its first end");
    assert_eq!((is_live(&mut shard, 1, at(119)), is_live(&mut shard, 1, at(120))), (true, false));
    assert!(shard.renew(id(1), at(119)).is_some());
    assert!(shard.renew(id(1), at(120)).is_none(), "past its longest lifetime");
    assert_eq!(swept(&mut shard, at(119)), (vec![], Some(at(120))));
    assert_eq!(swept(&mut shard, at(120)), (vec![1], None));
}

#[test]
fn another_idle_limit_holds_at_once_and_another_lifetime_for_what_is_opened_or_renewed_later() {
    let ([short, long], at) = ([60, 600].map(|ttl| rules(16, Duration::from_secs(ttl))), timeline());
    let ends =
        |shard: &mut Shard| [1, 2, 3].map(|byte| (0..).find(|seconds| !is_live(shard, byte, at(*seconds))));
    let mut shard = Shard::new(short);
    for (byte, seconds) in [(1, 0), (2, 10)] {
        shard.insert(id(byte), session(byte), at(seconds));
    }
    shard.set_rules(long, at(10));
    shard.insert(id(3), session(3), at(20));
    assert!(shard.renew(id(2), at(30)).is_some());
    assert_eq!(ends(&mut shard), [60, 630, 620].map(Some));
    shard.set_rules(SessionLimits { idle: Some(Duration::from_secs(40)), ..long }, at(30));
    assert_eq!(ends(&mut shard), [40, 70, 60].map(Some), "from the last use, or from when it was renewed");
    assert_eq!(swept(&mut shard, at(60)), (vec![1, 3], Some(at(70))));
    shard.set_rules(long, at(60));
    assert_eq!(swept(&mut shard, at(629)), (vec![], Some(at(630))));
}

#[test]
fn a_session_that_has_ended_stays_ended_by_whatever_rules() {
    let (long, at) = (rules(16, Duration::from_secs(60)), timeline());
    let mut shard = Shard::new(SessionLimits { idle: Some(Duration::from_secs(10)), ..long });
    for (byte, seconds) in [(1, 0), (2, 5)] {
        shard.insert(id(byte), session(byte), at(seconds));
    }
    assert!(!is_live(&mut shard, 1, at(10)) && is_live(&mut shard, 2, at(10)));
    shard.set_rules(long, at(10));
    assert!(!is_live(&mut shard, 1, at(10)) && is_live(&mut shard, 2, at(64)));
    assert!(shard.renew(id(1), at(10)).is_none());
    assert_eq!(swept(&mut shard, at(11)), (vec![1], Some(at(65))));
}
