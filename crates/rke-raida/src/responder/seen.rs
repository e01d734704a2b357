//! The requests that a node has answered, for as long as they could be taken again: an exact retransmission gets the
//! same answer, a reused challenge is refused. `docs/protocol.md` section 5.

use rke_proto::coin::{CoinId, CoinPair};
use rke_proto::command::Command;
use rke_proto::{Challenge, Status};
use sha2::{Digest, Sha256};

use crate::replay::{Full, ReplayMemory, WINDOW_SECONDS};

/// Whose request it is, and which: challenges of others do not collide with it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RequestName {
    /// `None` in envelope 0.
    pub(super) coins: Option<CoinPair>,
    pub(super) command: Command,
    pub(super) challenge: Challenge,
}

impl RequestName {
    /// On whose account it is remembered. All requests without a coin are on one.
    fn holders(&self) -> Vec<Option<CoinId>> {
        self.coins.map_or_else(|| vec![None], |coins| coins.coins().map(Some).collect())
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
    /// `None` until it is answered.
    answer: Option<Box<[u8]>>,
}

impl Answered {
    /// What a request under the same name is to the one that was answered.
    fn compare(&self, request: &Fingerprint) -> Seen {
        if self.fingerprint.body != request.body {
            return Seen::Reused;
        }
        match &self.answer {
            None => Seen::Underway,
            Some(answer) if self.fingerprint.datagram == request.datagram => {
                Seen::Retransmitted(answer.to_vec())
            }
            Some(answer) => Seen::Resealed(Status(answer.get(2).copied().unwrap_or_default())),
        }
    }
}

/// The answers that a node has given, and the requests that it is answering.
pub(super) struct Answers(ReplayMemory<Option<CoinId>, RequestName, Answered>);

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
        let underway = Answered { fingerprint: *fingerprint, answer: None };
        match self.0.remember(name.clone(), &name.holders(), underway, (now, until)) {
            Ok(()) => Seen::New,
            Err(Full) => Seen::NoRoom,
        }
    }

    /// Keeps the answer to a request that was new.
    pub(super) fn finish(&mut self, name: &RequestName, answer: &[u8], now: u64) {
        if let Some(known) = self.0.look_up_mut(name, now) {
            known.answer = Some(answer.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COIN: CoinId = CoinId { denomination: 0, serial: 42 };

    fn name(challenge: u8) -> RequestName {
        let coins = Some(CoinPair { first: COIN, second: None });
        RequestName { coins, command: Command::GetWideKeyShare, challenge: Challenge::new([challenge; 12]) }
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
            RequestName { coins: Some(CoinPair { first: COIN, second: Some(second) }), ..name(1) },
            RequestName { coins: Some(CoinPair { first: second, second: None }), ..name(1) },
            RequestName { coins: None, ..name(1) },
            RequestName { command: Command::GetKeyShare, ..name(1) },
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
        assert_eq!(begin(&RequestName { coins: Some(second), ..name(2) }, 1000), Seen::NoRoom);
        let alone = CoinPair { first: stranger, second: None };
        assert_eq!(begin(&RequestName { coins: Some(alone), ..name(2) }, 1000), Seen::New);
        assert_eq!(begin(&name(0), 1300), Seen::Underway, "nothing is forgotten");
        assert_eq!(begin(&name(2), 1301), Seen::New);
    }
}
