use rke_proto::handshake::share_check;

use super::*;
use crate::replay::SHARES;

/// The n-th exchange at another time.
fn exchange_at(nth: u32, timestamp: u64) -> ExchangePrologue {
    let context = KeyContext { timestamp, ..context(nth) };
    exchange_with(context, &[(set(0..17), pair(COIN, None))])
}

fn few(nth: u32) -> ExchangePrologue {
    exchange_with(context(nth), &[(set(0..12), pair(COIN, None))])
}

fn of_key_set(nth: u32, number: u8) -> ExchangePrologue {
    let context = KeyContext { key_set: key_set(number), ..context(nth) };
    exchange_with(context, &[(set(0..17), pair(COIN, None))])
}

/// The packet of an exchange under a psk that its shares do not make.
fn with_wrong_psk(exchange: &ExchangePrologue, domain: &str) -> Vec<u8> {
    let psk = Secret::random().expect("secret memory");
    packet_of(&Prologue::Exchange(exchange.clone()), &psk, domain).1
}

/// A share check with the right tags.
fn check(stage: &Stage, exchange: &ExchangePrologue) -> Vec<u8> {
    let shares = shares_of(&stage.served, exchange).expect("secret memory");
    share_check::ask(exchange, shares.iter().map(|(raida, share)| (*raida, share)))
}

fn retire(stage: &mut Stage, at: u64) {
    stage.reception.set_key_sets(vec![ServedKeySet { retires_at: Some(at), ..stage.served.clone() }]);
}

#[test]
fn an_unknown_key_set_or_content_server_is_refused_with_2() {
    let mut stage = stage();
    let other_server = KeyContext { cs_id: cs_id("CONTEXT"), ..context(1) };
    let other_server = exchange_with(other_server, &[(set(0..17), pair(COIN, None))]);
    for exchange in [of_key_set(1, 2), other_server] {
        let (_, packet) = stage.exchange(&exchange, DOMAIN);
        assert_eq!(stage.refusal(&packet), Some(Reason::NoSuchKeySet));
        let packet = check(&stage, &exchange);
        assert_eq!(stage.refusal(&packet), Some(Reason::NoSuchKeySet));
    }
}

#[test]
fn a_retired_key_set_is_refused_with_8_and_its_sessions_go_on() {
    let mut stage = stage();
    let session = stage.open(&exchange(1));
    retire(&mut stage, NOW + 10);
    let (_, packet) = stage.exchange(&exchange(2), DOMAIN);
    assert_eq!(stage.refusal_at(&packet, NOW + 10), Some(Reason::Retired));
    let checked = check(&stage, &exchange(2));
    assert_eq!(stage.refusal_at(&checked, NOW + 10), Some(Reason::Retired));
    assert_eq!(stage.refusal_at(&packet, NOW + 9), None);
    assert!(stage.attached_at(&session, NOW + 10).is_some());
    let resumed = Stage::resume(&session, DOMAIN);
    stage.open_at(resumed, NOW + 10);
}

#[test]
fn a_timestamp_over_300_seconds_away_is_refused_with_1() {
    let mut stage = stage();
    for (nth, timestamp) in (1..).zip([0, NOW - 301, NOW + 301, u64::MAX]) {
        let exchange = exchange_at(nth, timestamp);
        let (_, packet) = stage.exchange(&exchange, DOMAIN);
        assert_eq!(stage.refusal(&packet), Some(Reason::Stale), "{timestamp}");
        let checked = check(&stage, &exchange);
        assert_eq!(stage.refusal(&checked), Some(Reason::Stale), "{timestamp}");
    }
    for (nth, timestamp) in (5..).zip([NOW - 300, NOW + 300]) {
        let (_, packet) = stage.exchange(&exchange_at(nth, timestamp), DOMAIN);
        assert_eq!(stage.refusal(&packet), None, "{timestamp}");
    }
}

#[test]
fn an_unknown_or_expired_id_another_content_server_domain_or_psk_is_refused_with_3() {
    let mut stage = stage_with(ReceptionPolicy { lifetime_seconds: 100, ..ReceptionPolicy::default() });
    let session = stage.open(&exchange(1));
    let (resumption, key_id) = (session.resumption(), session.key_id());
    let psk = attach_psk(&session.accepted.secrets.key).expect("secret memory");
    let secret = &session.accepted.secrets.resumption;
    let wrong = Secret::random().expect("secret memory");
    let resume = |cs: &str, id, psk: &Secret<32>, domain: &str| {
        packet_of(&Prologue::Resume { cs_id: cs_id(cs), id }, psk, domain).1
    };
    let attach = |cs: &str, id, psk: &Secret<32>, domain: &str| {
        packet_of(&Prologue::Attach { cs_id: cs_id(cs), id }, psk, domain).1
    };
    let refused = [
        resume("CONTENT", ResumptionId([7; 16]), secret, DOMAIN),
        resume("CONTENT", ResumptionId(key_id.0), secret, DOMAIN),
        resume("CONTEXT", resumption, secret, DOMAIN),
        resume("CONTENT", resumption, secret, "other.example"),
        resume("CONTENT", resumption, secret, ""),
        resume("CONTENT", resumption, &wrong, DOMAIN),
        attach("CONTENT", KeyId([7; 16]), &psk, DOMAIN),
        attach("CONTENT", KeyId(resumption.0), &psk, DOMAIN),
        attach("CONTEXT", key_id, &psk, DOMAIN),
        attach("CONTENT", key_id, &psk, "other.example"),
        attach("CONTENT", key_id, &psk, "Content.example"),
        attach("CONTENT", key_id, &psk, ""),
        attach("CONTENT", key_id, &wrong, DOMAIN),
        attach("CONTENT", key_id, &session.accepted.secrets.key, DOMAIN),
    ];
    for (nth, packet) in refused.iter().enumerate() {
        assert_eq!(stage.refusal(packet), Some(Reason::NoSuchKey), "packet {nth}");
    }
    for good in [resume("CONTENT", resumption, secret, DOMAIN), attach("CONTENT", key_id, &psk, DOMAIN)] {
        assert_eq!(stage.refusal_at(&good, NOW + 99), None);
    }
    for late in [resume("CONTENT", resumption, secret, DOMAIN), attach("CONTENT", key_id, &psk, DOMAIN)] {
        assert_eq!(stage.refusal_at(&late, NOW + 100), Some(Reason::NoSuchKey));
    }
}

#[test]
fn shares_that_are_not_the_servers_or_too_few_are_refused_with_4() {
    let mut stage = stage();
    assert_eq!(stage.refusal(&with_wrong_psk(&exchange(1), DOMAIN)), Some(Reason::WrongShares));
    let (_, packet) = stage.exchange(&few(2), DOMAIN);
    assert_eq!(stage.refusal(&packet), Some(Reason::WrongShares));
    let checked = check(&stage, &few(2));
    assert_eq!(stage.refusal(&checked), Some(Reason::WrongShares));
    let thirteen = exchange_with(context(3), &[(set(12..25), pair(COIN, None))]);
    let (_, packet) = stage.exchange(&thirteen, DOMAIN);
    assert_eq!(stage.refusal(&packet), None);
    let mut strict = stage_with(ReceptionPolicy { required: 18, ..ReceptionPolicy::default() });
    let (_, packet) = strict.exchange(&exchange(4), DOMAIN);
    assert_eq!(strict.refusal(&packet), Some(Reason::WrongShares));
}

#[test]
fn an_altered_packet_is_refused_like_a_wrong_psk() {
    let mut stage = stage();
    let (_, packet) = stage.exchange(&exchange(1), DOMAIN);
    let message_at = exchange(1).to_bytes().len() + 2;
    for at in [message_at, message_at + 600, message_at + 1215, packet.len() - 1] {
        let mut altered = packet.clone();
        altered[at] ^= 1;
        assert_eq!(stage.refusal(&altered), Some(Reason::WrongShares), "byte {at}");
    }
    assert_eq!(stage.refusal(&packet), None, "none of them was remembered");
}

#[test]
fn a_first_packet_is_taken_once_and_refused_with_5_as_long_as_it_could_be_taken() {
    let mut stage = stage();
    let begun = stage.exchange(&exchange(1), DOMAIN);
    let packet = begun.1.clone();
    let session = stage.open_at(begun, NOW);
    assert_eq!(stage.refusal_at(&packet, NOW + 300), Some(Reason::Replayed));
    assert_eq!(stage.refusal_at(&packet, NOW + 301), Some(Reason::Stale));
    let ahead = exchange_at(2, NOW + 300);
    let (_, packet) = stage.exchange(&ahead, DOMAIN);
    assert_eq!(stage.refusal(&packet), None);
    assert_eq!(stage.refusal_at(&packet, NOW + 600), Some(Reason::Replayed));
    for (_, packet) in [Stage::resume(&session, DOMAIN), Stage::attach(&session, DOMAIN)] {
        assert_eq!(stage.refusal(&packet), None);
        assert_eq!(stage.refusal_at(&packet, NOW + 599), Some(Reason::Replayed));
        assert_eq!(stage.refusal_at(&packet, NOW + 600), None, "ten minutes");
    }
}

#[test]
fn a_domain_that_is_not_served_is_refused_with_7() {
    let domains = vec![DOMAIN.to_owned(), "second.example".to_owned()];
    let mut told = stage_with(ReceptionPolicy { domains, ..ReceptionPolicy::default() });
    for (nth, domain) in
        (1..).zip(["other.example", "Content.example", "content.example.", "content.exampl", ""])
    {
        let (_, packet) = told.exchange(&exchange(nth), domain);
        assert_eq!(told.refusal(&packet), Some(Reason::AnotherDomain), "{domain:?}");
        assert_eq!(told.refusal(&packet), Some(Reason::AnotherDomain), "it is not remembered");
    }
    for (nth, domain) in (10..).zip([DOMAIN, "second.example"]) {
        let (_, packet) = told.exchange(&exchange(nth), domain);
        assert_eq!(told.refusal(&packet), None, "{domain}");
    }
    let mut untold = stage();
    let (_, packet) = untold.exchange(&exchange(1), "whatever.example");
    assert_eq!(untold.refusal(&packet), None);
    // It would reach a command's environment.
    for (nth, domain) in (2..).zip(["", "with\0zero", "with\nline", "with space", "d\u{f6}main"]) {
        let (_, packet) = untold.exchange(&exchange(nth), domain);
        assert_eq!(untold.refusal(&packet), Some(Reason::AnotherDomain), "{domain:?}");
    }
}

#[test]
fn no_coin_fills_the_memory_with_exchanges_resumptions_and_connections() {
    let mut stage = stage_with(ReceptionPolicy { replay_memory: 4 * SHARES, ..ReceptionPolicy::default() });
    let first = stage.open(&exchange(1));
    stage.open_at(Stage::resume(&first, DOMAIN), NOW);
    assert!(stage.attached(&first).is_some());
    stage.open(&exchange(2));
    let full =
        [stage.exchange(&exchange(3), DOMAIN), Stage::resume(&first, DOMAIN), Stage::attach(&first, DOMAIN)];
    for (_, packet) in full {
        assert_eq!(stage.refusal(&packet), Some(Reason::Busy), "the coin has its sixteenth");
    }
    let both = exchange_with(context(4), &[(set(0..17), pair(OTHER, Some(COIN)))]);
    let (_, packet) = stage.exchange(&both, DOMAIN);
    assert_eq!(stage.refusal(&packet), Some(Reason::Busy), "whichever is named first");
    let (_, packet) = stage.exchange(&exchange_of(5, OTHER), DOMAIN);
    assert_eq!(stage.refusal(&packet), None, "others have theirs");
}

#[test]
fn a_memory_that_is_full_refuses_with_6_and_forgets_nothing_early() {
    let places = 2 * SHARES;
    let mut stage = stage_with(ReceptionPolicy { replay_memory: places, ..ReceptionPolicy::default() });
    for serial in 100..100 + places as u32 {
        let (_, packet) = stage.exchange(&exchange_of(serial, CoinId { serial, ..COIN }), DOMAIN);
        assert_eq!(stage.refusal(&packet), None, "{serial}");
    }
    let (_, packet) = stage.exchange(&exchange_of(99, OTHER), DOMAIN);
    assert_eq!(stage.refusal(&packet), Some(Reason::Busy));
    assert_eq!(stage.refusal_at(&packet, NOW + 300), Some(Reason::Busy));
    let later = KeyContext { timestamp: NOW + 301, ..context(98) };
    let later = exchange_with(later, &[(set(0..17), pair(OTHER, None))]);
    let (_, packet) = stage.exchange(&later, DOMAIN);
    assert_eq!(stage.refusal_at(&packet, NOW + 301), None);
}

#[test]
fn sessions_without_a_proven_coin_share_one_account_of_the_memory() {
    let mut stage = stage_with(ReceptionPolicy { replay_memory: 2 * SHARES, ..ReceptionPolicy::default() });
    let unproven = |nth: u32| {
        let (one, two) = (CoinId { serial: nth, ..COIN }, CoinId { serial: nth, ..OTHER });
        exchange_with(context(nth), &[(set(0..8), pair(one, None)), (set(8..16), pair(two, None))])
    };
    for (nth, refusal) in [(1, None), (2, None), (3, Some(Reason::Busy))] {
        let (_, packet) = stage.exchange(&unproven(nth), DOMAIN);
        assert_eq!(stage.refusal(&packet), refusal, "{nth}");
    }
}

#[test]
fn of_several_refusals_the_first_in_the_order_is_sent() {
    let domains = vec![DOMAIN.to_owned()];
    let mut stage =
        stage_with(ReceptionPolicy { domains, replay_memory: 2 * SHARES, ..ReceptionPolicy::default() });
    let begun = stage.exchange(&exchange(1), DOMAIN);
    let replayed = begun.1.clone();
    let session = stage.open_at(begun, NOW);
    let resumed = Stage::resume(&session, DOMAIN);
    let replayed_resumption = resumed.1.clone();
    stage.open_at(resumed, NOW);
    // The coin's share of the memory is full from here on.
    let twelve_stale =
        exchange_with(KeyContext { timestamp: 0, ..context(2) }, &[(set(0..12), pair(COIN, None))]);
    let stale_of_another = exchange_with(
        KeyContext { timestamp: 0, key_set: key_set(2), ..context(3) },
        &[(set(0..12), pair(COIN, None))],
    );
    let in_order = [
        ("2 before 1 and 4", with_wrong_psk(&stale_of_another, "other.example"), Reason::NoSuchKeySet),
        ("1 before 4", with_wrong_psk(&twelve_stale, "other.example"), Reason::Stale),
        ("4 before 7", with_wrong_psk(&exchange(4), "other.example"), Reason::WrongShares),
        ("4 before 6", with_wrong_psk(&exchange(4), DOMAIN), Reason::WrongShares),
        ("5 before 6", replayed.clone(), Reason::Replayed),
        ("7 before 6", stage.exchange(&exchange(5), "other.example").1, Reason::AnotherDomain),
        ("6", stage.exchange(&exchange(5), DOMAIN).1, Reason::Busy),
        ("3 before 6", Stage::resume(&session, "other.example").1, Reason::NoSuchKey),
        ("5 before 6 where resumed", replayed_resumption.clone(), Reason::Replayed),
    ];
    for (which, packet, reason) in in_order {
        assert_eq!(stage.refusal(&packet), Some(reason), "{which}");
    }
    let stale = stage.refusal_at(&replayed, NOW + 301);
    assert_eq!(stale, Some(Reason::Stale), "1 before 5");
    let (proof, _) = stage.forgotten_at(&session.forget_resumption(), NOW).expect("forgotten");
    assert_ne!(proof, [0; 16]);
    assert_eq!(stage.refusal(&replayed_resumption), Some(Reason::NoSuchKey), "3 before 5");
    retire(&mut stage, NOW);
    assert_eq!(stage.refusal(&replayed), Some(Reason::Retired), "8 before 5");
    let packet = with_wrong_psk(&twelve_stale, DOMAIN);
    assert_eq!(stage.refusal(&packet), Some(Reason::Retired), "8 before 1");
}

#[test]
fn a_share_check_finds_the_right_shares_and_may_be_repeated() {
    let mut stage = stage();
    let (_, handshake) = stage.exchange(&exchange(1), DOMAIN);
    let mut shares = shares_of(&stage.served, &exchange(1)).expect("secret memory");
    shares[3].1 = Secret::random().expect("secret memory");
    let packet = share_check::ask(&exchange(1), shares.iter().map(|(raida, share)| (*raida, share)));
    for _ in 0..2 {
        let Outcome::Respond(Response::Checked { right, mac }) = stage.receive(&packet) else {
            panic!("refused")
        };
        assert_eq!(right, set((0..17).filter(|raida| *raida != 3)));
        let own = shares.iter().map(|(raida, share)| (*raida, share));
        assert!(share_check::is_proven(&exchange(1), &packet, own, right, &mac, 13).expect("secret memory"));
    }
    assert_eq!(stage.refusal(&handshake), None, "a check uses nothing up");
}

#[test]
fn any_other_form_is_closed_without_an_answer() {
    let mut stage = stage();
    let (_, good) = stage.exchange(&exchange(1), DOMAIN);
    let fresh = Fresh::random().expect("randomness");
    for len in 0..good.len() {
        assert!(stage.reception.receive(&good[..len], NOW, &fresh).is_err(), "cut at {len}");
    }
    let mut longer = good.clone();
    longer.push(0);
    assert!(stage.reception.receive(&longer, NOW, &fresh).is_err());
    let mut unknown = good.clone();
    unknown[4] = 6;
    assert!(stage.reception.receive(&unknown, NOW, &fresh).is_err());
    assert_eq!(stage.refusal(&good), None);
}
