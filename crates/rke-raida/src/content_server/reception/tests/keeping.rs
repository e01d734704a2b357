use super::*;

fn coin(serial: u32) -> CoinId {
    CoinId { serial, ..COIN }
}

#[test]
fn a_coins_longest_unused_key_makes_room_and_its_connections_are_told() {
    let mut stage = stage_with(ReceptionPolicy { keys_per_coin: 2, ..ReceptionPolicy::default() });
    let sessions: Vec<Session> = (1..=2).map(|nth| stage.open(&exchange(nth))).collect();
    let others = stage.open(&exchange_of(3, OTHER));
    let (_, second_watcher) = stage.attached(&sessions[1]).expect("attached");
    let (_, first_watcher) = stage.attached(&sessions[0]).expect("attached");
    stage.open(&exchange(4));
    assert_eq!((second_watcher.ending(), first_watcher.ending()), (Some(Ending::Evicted), None));
    assert!(stage.attached(&sessions[1]).is_none());
    assert!(stage.attached(&sessions[0]).is_some() && stage.attached(&others).is_some());
    stage.reception.touch(&sessions[0].key_id());
    stage.open(&exchange(5));
    assert!(stage.attached(&sessions[0]).is_some(), "a use of the key counts");
}

#[test]
fn resumed_sessions_count_for_the_coin_of_their_exchange() {
    let mut stage = stage_with(ReceptionPolicy { keys_per_coin: 3, ..ReceptionPolicy::default() });
    let first = stage.open(&exchange(1));
    for _ in 0..5 {
        stage.open_at(Stage::resume(&first, DOMAIN), NOW);
    }
    assert_eq!((stage.reception.len(), stage.reception.resumptions()), (3, 1));
}

#[test]
fn of_resumptions_the_longest_unused_makes_room() {
    let mut stage = stage_with(ReceptionPolicy { keys_per_coin: 2, ..ReceptionPolicy::default() });
    let sessions: Vec<Session> = (1..=2).map(|nth| stage.open(&exchange(nth))).collect();
    stage.open_at(Stage::resume(&sessions[0], DOMAIN), NOW);
    stage.open(&exchange(3));
    assert_eq!(stage.reception.resumptions(), 2);
    assert_eq!(stage.refusal(&Stage::resume(&sessions[1], DOMAIN).1), Some(Reason::NoSuchKey));
    stage.open_at(Stage::resume(&sessions[0], DOMAIN), NOW);
}

#[test]
fn sessions_without_a_proven_coin_share_one_allowance() {
    let mut stage =
        stage_with(ReceptionPolicy { unproven_keys: 2, keys_per_coin: 2, ..ReceptionPolicy::default() });
    let proven = stage.open(&exchange(100));
    let unproven = |nth: u32| {
        let groups = [(set(0..8), pair(coin(nth), None)), (set(8..16), pair(coin(nth + 50), None))];
        exchange_with(context(nth), &groups)
    };
    let sessions: Vec<Session> = (1..=3).map(|nth| stage.open(&unproven(nth))).collect();
    let attached: Vec<bool> = sessions.iter().map(|session| stage.attached(session).is_some()).collect();
    assert_eq!(attached, [false, true, true]);
    assert!(stage.attached(&proven).is_some());
}

#[test]
fn a_full_store_gives_up_the_longest_unused_of_all() {
    let mut stage = stage_with(ReceptionPolicy { max_keys: 3, ..ReceptionPolicy::default() });
    let sessions: Vec<Session> = (1..=3).map(|nth| stage.open(&exchange_of(nth, coin(nth)))).collect();
    assert!(stage.attached(&sessions[0]).is_some());
    stage.open(&exchange_of(4, coin(4)));
    let attached: Vec<bool> = sessions.iter().map(|session| stage.attached(session).is_some()).collect();
    assert_eq!((attached.as_slice(), stage.reception.len()), ([true, false, true].as_slice(), 3));
}

#[test]
fn handshakes_that_fail_or_stay_without_a_record_count_against_nobody() {
    let mut stage =
        stage_with(ReceptionPolicy { keys_per_coin: 1, max_keys: 1, ..ReceptionPolicy::default() });
    let session = stage.open(&exchange(1));
    for nth in 2..10 {
        let begun = stage.exchange(&exchange(nth), DOMAIN);
        drop(stage.pending_at(begun, NOW));
        let psk = Secret::random().expect("secret memory");
        let (_, packet) = packet_of(&Prologue::Exchange(exchange(nth + 100)), &psk, DOMAIN);
        assert_eq!(stage.refusal(&packet), Some(Reason::WrongShares));
    }
    assert!(stage.attached(&session).is_some());
}

#[test]
fn no_chain_of_resumptions_outlives_the_exchange() {
    let mut stage = stage_with(ReceptionPolicy { lifetime_seconds: 1000, ..ReceptionPolicy::default() });
    let first = stage.open(&exchange(1));
    assert_eq!(first.accepted.grant.lifetime, 1000);
    let resumed = stage.open_at(Stage::resume(&first, DOMAIN), NOW + 400);
    assert_eq!(resumed.accepted.grant.lifetime, 600);
    let (attached, _) = stage.pending_at(Stage::attach(&resumed, DOMAIN), NOW + 999);
    assert_eq!(attached.grant.lifetime, 1);
    assert!(stage.attached_at(&resumed, NOW + 999).is_some());
    for (_, packet) in
        [Stage::attach(&resumed, DOMAIN), Stage::attach(&first, DOMAIN), Stage::resume(&first, DOMAIN)]
    {
        assert_eq!(stage.refusal_at(&packet, NOW + 1000), Some(Reason::NoSuchKey));
    }
    assert_eq!((stage.reception.len(), stage.reception.resumptions()), (0, 0));
}

#[test]
fn no_lifetime_is_longer_than_a_day() {
    let mut stage = stage_with(ReceptionPolicy { lifetime_seconds: u32::MAX, ..ReceptionPolicy::default() });
    let session = stage.open(&exchange(1));
    assert_eq!(session.accepted.grant.lifetime, 86_400);
    assert!(stage.attached_at(&session, NOW + 86_399).is_some());
    assert!(stage.attached_at(&session, NOW + 86_400).is_none());
}

#[test]
fn a_key_that_expires_tells_its_connections() {
    let mut stage = stage_with(ReceptionPolicy { lifetime_seconds: 1000, ..ReceptionPolicy::default() });
    let session = stage.open(&exchange(1));
    let (_, watcher) = stage.attached(&session).expect("attached");
    stage.reception.sweep(NOW + 999);
    assert_eq!(watcher.ending(), None);
    stage.reception.sweep(NOW + 1000);
    assert_eq!(watcher.ending(), Some(Ending::Expired));
}

#[test]
fn a_handshake_whose_record_comes_too_late_opens_nothing() {
    let mut stage = stage_with(ReceptionPolicy { lifetime_seconds: 5, ..ReceptionPolicy::default() });
    let begun = stage.exchange(&exchange(1), DOMAIN);
    let (_, pending) = stage.pending_at(begun, NOW);
    let Opens::Session(new) = pending.opens else { panic!("not a session") };
    assert_eq!(stage.reception.establish(new, NOW + 5), Err(Ending::Expired));
    let session = stage.open(&exchange(2));
    let (_, pending) = stage.pending_at(Stage::attach(&session, DOMAIN), NOW + 4);
    let Opens::Tunnel(key_id) = pending.opens else { panic!("not a tunnel") };
    let attached = stage.reception.attach(key_id, &pending.watcher.expect("a watcher"), NOW + 5);
    assert_eq!(attached, Err(Ending::Expired));
    assert_eq!((stage.reception.len(), stage.reception.resumptions()), (0, 0));
}

#[test]
fn after_a_stop_nothing_is_left() {
    let mut stage = stage();
    let session = stage.open(&exchange(1));
    stage.reception.clear();
    assert_eq!((stage.reception.len(), stage.reception.resumptions()), (0, 0));
    for (_, packet) in [Stage::attach(&session, DOMAIN), Stage::resume(&session, DOMAIN)] {
        assert_eq!(stage.refusal(&packet), Some(Reason::NoSuchKey));
    }
}
