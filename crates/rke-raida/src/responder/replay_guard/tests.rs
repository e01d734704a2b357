use rke_proto::coin::CoinId;

use super::*;

const COIN: CoinId = CoinId { denomination: 0, serial: 42 };

const ALONE: CoinPair = CoinPair { first: COIN, second: None };

fn name(challenge: u8) -> RequestName {
    name_of(Some(ALONE), challenge)
}

fn name_of(coins: Option<CoinPair>, challenge: u8) -> RequestName {
    RequestName::new(coins, Command::GetWideKeyShare, &Challenge::new([challenge; 12]))
}

fn fingerprint(datagram: &[u8], body: &[u8]) -> Fingerprint {
    Fingerprint::of_datagram(datagram).with_body(body)
}

#[test]
fn tells_retransmissions_from_reuse_and_forgets_when_it_could_not_be_taken_again() {
    let mut guard = ReplayGuard::new(1024);
    let (first, answer) = (fingerprint(b"one", b"body"), [0, 0, 250, 15]);
    for (timestamp, last) in [(700, 1000), (1000, 1300), (1300, 1600), (1301, 1300), (699, 1300)] {
        let name = name((timestamp % 251) as u8);
        let at = |guard: &mut ReplayGuard, fingerprint, now| {
            guard.begin(&name, &fingerprint, (now, Some(timestamp)))
        };
        let (resealed, reused) = (fingerprint(b"two", b"body"), fingerprint(b"three", b"other"));
        assert_eq!(at(&mut guard, first, 1000), ReplayCheck::New);
        for same in [first, resealed] {
            assert_eq!(at(&mut guard, same, 1000), ReplayCheck::Underway);
        }
        assert_eq!(at(&mut guard, reused, 1000), ReplayCheck::Reused);
        guard.finish(&name, &answer, 1000);
        assert_eq!(at(&mut guard, first, 1000), ReplayCheck::Retransmitted(answer.into()));
        assert_eq!(at(&mut guard, resealed, 1000), ReplayCheck::Resealed(Status::SUCCESS));
        assert_eq!(at(&mut guard, reused, last), ReplayCheck::Reused, "{timestamp}");
        assert_eq!(at(&mut guard, reused, last + 1), ReplayCheck::New, "{timestamp}");
        guard = ReplayGuard::new(1024);
    }
}

#[test]
fn another_coin_or_command_under_the_same_challenge_is_another_request() {
    let mut guard = ReplayGuard::new(1024);
    let own = fingerprint(b"one", b"body");
    assert_eq!(guard.begin(&name(1), &own, (1000, None)), ReplayCheck::New);
    let second = CoinId { denomination: 0, serial: 43 };
    for other in [
        name_of(Some(CoinPair { first: COIN, second: Some(second) }), 1),
        name_of(Some(CoinPair { first: second, second: None }), 1),
        name_of(None, 1),
        RequestName::new(Some(ALONE), Command::GetKeyShare, &Challenge::new([1; 12])),
        name(2),
    ] {
        let check = guard.begin(&other, &fingerprint(b"two", b"other"), (1000, None));
        assert_eq!(check, ReplayCheck::New, "{other:?}");
    }
    assert_eq!(guard.begin(&name(1), &fingerprint(b"two", b"other"), (1000, None)), ReplayCheck::Reused);
}

#[test]
fn one_coin_fills_its_own_part_only() {
    let mut guard = ReplayGuard::new(32);
    let own = fingerprint(b"one", b"body");
    let mut begin = |name: &RequestName, now| guard.begin(name, &own, (now, None));
    for challenge in 0..2 {
        assert_eq!(begin(&name(challenge), 1000), ReplayCheck::New);
    }
    assert_eq!(begin(&name(2), 1000), ReplayCheck::NoRoom);
    let stranger = CoinId { denomination: 0, serial: 43 };
    let second = CoinPair { first: stranger, second: Some(COIN) };
    assert_eq!(begin(&name_of(Some(second), 2), 1000), ReplayCheck::NoRoom);
    let alone = CoinPair { first: stranger, second: None };
    assert_eq!(begin(&name_of(Some(alone), 2), 1000), ReplayCheck::New);
    assert_eq!(begin(&name(0), 1300), ReplayCheck::Underway, "nothing is forgotten");
    assert_eq!(begin(&name(2), 1301), ReplayCheck::New);
}
