use rke_proto::handshake::Record;
use rke_proto::handshake::record::LEN_LEN;

use super::*;

#[test]
fn an_exchange_gives_both_ends_the_same_key_once_the_client_has_shown_it() {
    let mut stage = stage();
    let begun = stage.exchange(&exchange(1), DOMAIN);
    let (accepted, pending) = stage.pending_at(begun, NOW);
    assert_eq!(accepted.grant.lifetime, MAX_LIFETIME_SECONDS);
    let (mut client, mut server) = (accepted.transport, pending.transport);
    let end = client.sealer.end(None).expect("a record");
    assert_eq!(server.opener.open(end[LEN_LEN..].to_vec()), Ok(Record::End(None)));
    let Opens::Session(new) = pending.opens else { panic!("not a session") };
    assert_eq!(stage.reception.establish(new, NOW), Ok(accepted.secrets.key_id));
    assert_eq!((stage.reception.len(), stage.reception.resumptions()), (1, 1));
    let own = &stage.reception.known.keys.get(&accepted.secrets.key_id).expect("kept").value.secret;
    assert!(own.matches(&accepted.secrets.key));
}

#[test]
fn nothing_is_kept_before_the_first_record() {
    let mut stage = stage();
    let begun = stage.exchange(&exchange(1), DOMAIN);
    let (accepted, pending) = stage.pending_at(begun, NOW);
    assert_eq!((stage.reception.len(), stage.reception.resumptions()), (0, 0));
    let session = Session { accepted, coin_domain: DOMAIN };
    for (_, packet) in [Stage::resume(&session, DOMAIN), Stage::attach(&session, DOMAIN)] {
        assert_eq!(stage.refusal(&packet), Some(Reason::NoSuchKey));
    }
    drop(pending);
    assert!(stage.reception.is_empty());
}

#[test]
fn a_session_from_a_resumption_has_a_key_of_its_own_and_gives_no_further_one() {
    let mut stage = stage();
    let first = stage.open(&exchange(1));
    let mut keys = vec![first.key_id()];
    for _ in 0..3 {
        let begun = Stage::resume(&first, DOMAIN);
        let next = stage.open_at(begun, NOW);
        assert_eq!(next.accepted.grant.resumption, None);
        assert!(!next.accepted.secrets.key.matches(&first.accepted.secrets.key));
        keys.push(next.key_id());
    }
    keys.sort_unstable();
    keys.dedup();
    assert_eq!((keys.len(), stage.reception.len(), stage.reception.resumptions()), (4, 4, 1));
}

#[test]
fn attaching_leaves_no_key_and_no_resumption_behind() {
    let mut stage = stage();
    let session = stage.open(&exchange(1));
    let begun = Stage::attach(&session, DOMAIN);
    let (attached, pending) = stage.pending_at(begun, NOW + 10);
    assert_eq!(attached.grant.resumption, None);
    assert_eq!(attached.grant.lifetime, MAX_LIFETIME_SECONDS - 10);
    let Opens::Tunnel(key_id) = pending.opens else { panic!("not a tunnel") };
    assert_eq!(key_id, session.key_id());
    let client = stage.reception.attach(key_id, &pending.watcher.expect("a watcher"), NOW + 10);
    assert_eq!(client, Ok(Client { key_id, domain: DOMAIN.into(), coin: Some(COIN) }));
    assert_eq!((stage.reception.len(), stage.reception.resumptions()), (1, 1));
    let of_the_tunnel = Session { accepted: attached, coin_domain: DOMAIN };
    assert!(stage.attached(&of_the_tunnel).is_none(), "its own key id is nobody's");
}

#[test]
fn a_coin_is_proven_where_its_pairs_cover_the_required_number() {
    let mut stage = stage();
    let cases = [
        // One coin everywhere.
        (vec![(set(0..13), pair(COIN, None))], Some(COIN)),
        // 12 of 13: a claim.
        (vec![(set(0..12), pair(COIN, None)), (set(12..13), pair(OTHER, None))], None),
        // In pairs with others, and as the second of them.
        (vec![(set(0..7), pair(OTHER, Some(COIN))), (set(7..13), pair(COIN, None))], Some(COIN)),
        // Both: the first that the prologue names counts.
        (vec![(set(0..13), pair(OTHER, Some(COIN)))], Some(OTHER)),
        // Named first, but not proven.
        (vec![(set(0..3), pair(OTHER, None)), (set(3..16), pair(COIN, None))], Some(COIN)),
    ];
    for (nth, (groups, coin)) in cases.into_iter().enumerate() {
        let session = stage.open(&exchange_with(context(nth as u32), &groups));
        let (client, _) = stage.attached(&session).expect("attached");
        assert_eq!(client.coin, coin, "case {nth}");
        let resumed = stage.open_at(Stage::resume(&session, DOMAIN), NOW);
        let (client, _) = stage.attached(&resumed).expect("attached");
        assert_eq!(client.coin, coin, "the proof follows a resumption: case {nth}");
    }
}

#[test]
fn shares_are_those_of_the_coins_that_the_prologue_names() {
    let mut stage = stage();
    // A client with the shares of another coin cannot name this one.
    let stranger = exchange_of(1, OTHER);
    let shares = shares_of(&stage.served, &stranger).expect("secret memory");
    let claimed = exchange_of(1, COIN);
    let shares = shares.iter().map(|(_, share)| share);
    let psk = psk::from_shares(shares, ShareWidth::Wide, &claimed.to_bytes()).expect("secret memory");
    let (_, packet) = packet_of(&Prologue::Exchange(claimed), &psk, DOMAIN);
    assert_eq!(stage.refusal(&packet), Some(Reason::WrongShares));
}
