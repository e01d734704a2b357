//! The requests that a node has answered, for as long as they could be taken again: an exact retransmission gets the
//! same answer, a reused challenge is refused. `docs/protocol.md` section 5.

use rke_proto::challenge::CHALLENGE_LEN;
use rke_proto::coin::{COIN_PAIR_LEN, CoinPair};
use rke_proto::command::Command;
use rke_proto::{Challenge, Status};
use sha2::{Digest, Sha256};

use crate::replay::{Full, ReplayMemory, WINDOW_SECONDS};

/// Whose request it is, and which: challenges of others do not collide with it. In bytes, because it is made where keys
/// have been and outlives that: the gaps of other values would hold what keys have left there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RequestName {
    /// How many coins, and which. Zeros in envelope 0.
    coins: [u8; 1 + COIN_PAIR_LEN],
    command: [u8; 2],
    challenge: [u8; CHALLENGE_LEN],
}

/// A coin, with a 1 before it; or zeros for requests without one.
type Holder = [u8; 6];

impl RequestName {
    /// The name of a request, which has no coins in envelope 0.
    pub(super) fn new(coins: Option<CoinPair>, command: Command, challenge: &Challenge) -> Self {
        let mut named = [0; 1 + COIN_PAIR_LEN];
        if let Some(pair) = coins {
            named[0] = pair.coins().count() as u8;
            named[1..].copy_from_slice(&pair.to_bytes());
        }
        let (group, command) = command.to_wire();
        Self { coins: named, command: [group, command], challenge: *challenge.as_bytes() }
    }

    /// On whose account it is remembered. All requests without a coin are on one.
    fn holders(&self) -> Vec<Holder> {
        let [count, coins @ ..] = self.coins;
        let coins = coins.chunks_exact(COIN_PAIR_LEN / 2).take(count.into());
        let mut holders: Vec<Holder> = coins
            .map(|coin| {
                let mut holder = [1; 6];
                holder[1..].copy_from_slice(coin);
                holder
            })
            .collect();
        if holders.is_empty() {
            holders.push([0; 6]);
        }
        holders
    }
}

/// Hashes that tell one request from another without keeping it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    datagram: [u8; 32],
    body: [u8; 32],
}

impl Fingerprint {
    /// The fingerprint of a datagram as it came; the body is still to be opened.
    pub(super) fn of_datagram(datagram: &[u8]) -> Self {
        Self { datagram: Sha256::digest(datagram).into(), body: [0; 32] }
    }

    /// Adds the opened body.
    pub(super) fn with_body(self, body: &[u8]) -> Self {
        Self { body: Sha256::digest(body).into(), ..self }
    }
}

/// What is known of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// Nothing: answer, then [`Answers::finish`].
    New,
    /// Nothing, and there is no room to remember it: refuse.
    NoRoom,
    /// The same request, which is being answered at this moment.
    Underway,
    /// The very same datagram: this was the answer.
    Retransmitted(Vec<u8>),
    /// The same request, sealed again; this was the status.
    Resealed(Status),
    /// Another request under the same challenge: refuse.
    Reused,
}

struct Answered {
    fingerprint: Fingerprint,
    /// Empty until it is answered.
    answer: Box<[u8]>,
}

impl Answered {
    /// What a request under the same name is to the one that was answered.
    fn compare(&self, request: &Fingerprint) -> Seen {
        if self.fingerprint.body != request.body {
            return Seen::Reused;
        }
        match self.answer.get(2) {
            None => Seen::Underway,
            Some(_) if self.fingerprint.datagram == request.datagram => {
                Seen::Retransmitted(self.answer.to_vec())
            }
            Some(status) => Seen::Resealed(Status(*status)),
        }
    }
}

/// The answers that a node has given, and the requests that it is answering.
pub(super) struct Answers(ReplayMemory<Holder, RequestName, Answered>);

impl Answers {
    /// None yet, and room for this many.
    pub(super) fn new(places: usize) -> Self {
        Self(ReplayMemory::new(places))
    }

    /// What is known of a request at `now`, in Unix seconds. A new one is remembered from here on, for as long as it could
    /// be taken again: it was made at `timestamp`. What has no timestamp, or one that is not taken, counts as made now.
    pub(super) fn begin(
        &mut self,
        name: &RequestName,
        fingerprint: &Fingerprint,
        (now, timestamp): (u64, Option<u64>),
    ) -> Seen {
        if let Some(known) = self.0.look_up(name, now) {
            return known.compare(fingerprint);
        }
        let made = timestamp.filter(|made| made.abs_diff(now) <= WINDOW_SECONDS).unwrap_or(now);
        let until = made.saturating_add(WINDOW_SECONDS + 1);
        let underway = Answered { fingerprint: *fingerprint, answer: Box::default() };
        match self.0.remember(name.clone(), &name.holders(), underway, (now, until)) {
            Ok(()) => Seen::New,
            Err(Full) => Seen::NoRoom,
        }
    }

    /// Keeps the answer to a request that was new.
    pub(super) fn finish(&mut self, name: &RequestName, answer: &[u8], now: u64) {
        if let Some(known) = self.0.look_up_mut(name, now) {
            known.answer = answer.into();
        }
    }
}

#[cfg(test)]
mod tests {
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
        let mut answers = Answers::new(1024);
        let (first, answer) = (fingerprint(b"one", b"body"), [0, 0, 250, 15]);
        for (timestamp, last) in [(700, 1000), (1000, 1300), (1300, 1600), (1301, 1300), (699, 1300)] {
            let name = name((timestamp % 251) as u8);
            let at = |answers: &mut Answers, fingerprint, now| {
                answers.begin(&name, &fingerprint, (now, Some(timestamp)))
            };
            let (resealed, reused) = (fingerprint(b"two", b"body"), fingerprint(b"three", b"other"));
            assert_eq!(at(&mut answers, first, 1000), Seen::New);
            for same in [first, resealed] {
                assert_eq!(at(&mut answers, same, 1000), Seen::Underway);
            }
            assert_eq!(at(&mut answers, reused, 1000), Seen::Reused);
            answers.finish(&name, &answer, 1000);
            assert_eq!(at(&mut answers, first, 1000), Seen::Retransmitted(answer.into()));
            assert_eq!(at(&mut answers, resealed, 1000), Seen::Resealed(Status::SUCCESS));
            assert_eq!(at(&mut answers, reused, last), Seen::Reused, "{timestamp}");
            assert_eq!(at(&mut answers, reused, last + 1), Seen::New, "{timestamp}");
            answers = Answers::new(1024);
        }
    }

    #[test]
    fn another_coin_or_command_under_the_same_challenge_is_another_request() {
        let mut answers = Answers::new(1024);
        let own = fingerprint(b"one", b"body");
        assert_eq!(answers.begin(&name(1), &own, (1000, None)), Seen::New);
        let second = CoinId { denomination: 0, serial: 43 };
        for other in [
            name_of(Some(CoinPair { first: COIN, second: Some(second) }), 1),
            name_of(Some(CoinPair { first: second, second: None }), 1),
            name_of(None, 1),
            RequestName::new(Some(ALONE), Command::GetKeyShare, &Challenge::new([1; 12])),
            name(2),
        ] {
            let seen = answers.begin(&other, &fingerprint(b"two", b"other"), (1000, None));
            assert_eq!(seen, Seen::New, "{other:?}");
        }
        assert_eq!(answers.begin(&name(1), &fingerprint(b"two", b"other"), (1000, None)), Seen::Reused);
    }

    #[test]
    fn one_coin_fills_its_own_part_only() {
        let mut answers = Answers::new(32);
        let own = fingerprint(b"one", b"body");
        let mut begin = |name: &RequestName, now| answers.begin(name, &own, (now, None));
        for challenge in 0..2 {
            assert_eq!(begin(&name(challenge), 1000), Seen::New);
        }
        assert_eq!(begin(&name(2), 1000), Seen::NoRoom);
        let stranger = CoinId { denomination: 0, serial: 43 };
        let second = CoinPair { first: stranger, second: Some(COIN) };
        assert_eq!(begin(&name_of(Some(second), 2), 1000), Seen::NoRoom);
        let alone = CoinPair { first: stranger, second: None };
        assert_eq!(begin(&name_of(Some(alone), 2), 1000), Seen::New);
        assert_eq!(begin(&name(0), 1300), Seen::Underway, "nothing is forgotten");
        assert_eq!(begin(&name(2), 1301), Seen::New);
    }
}
