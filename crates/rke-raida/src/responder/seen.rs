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
    /// Nothing: answer, then [`Answers::remember`].
    New,
    /// Nothing, and there is no room to remember it: refuse.
    NoRoom,
    /// The very same datagram: this was the answer.
    Retransmitted(Vec<u8>),
    /// The same request, sealed again; this was the status.
    Resealed(Status),
    /// Another request under the same challenge: refuse.
    Reused,
}

struct Answered {
    fingerprint: Fingerprint,
    answer: Box<[u8]>,
}

impl Answered {
    /// What a request under the same name is to the one that was answered.
    fn compare(&self, request: &Fingerprint) -> Seen {
        if self.fingerprint.datagram == request.datagram {
            return Seen::Retransmitted(self.answer.to_vec());
        }
        if self.fingerprint.body == request.body {
            return Seen::Resealed(Status(self.answer.get(2).copied().unwrap_or_default()));
        }
        Seen::Reused
    }
}

/// The answers that a node has given.
pub(super) struct Answers(ReplayMemory<Option<CoinId>, RequestName, Answered>);

impl Answers {
    /// None yet, and room for this many.
    pub(super) fn new(places: usize) -> Self {
        Self(ReplayMemory::new(places))
    }

    /// What is known of a request at `now`, in Unix seconds.
    pub(super) fn look_up(&mut self, name: &RequestName, fingerprint: &Fingerprint, now: u64) -> Seen {
        let known = self.0.look_up(name, now).map(|known| known.compare(fingerprint));
        known.unwrap_or_else(|| match self.0.has_room(&name.holders(), now) {
            true => Seen::New,
            false => Seen::NoRoom,
        })
    }

    /// Keeps the answer to a new request, which was made at `timestamp`: for as long as it could be taken again. What
    /// has no timestamp, or one that is not taken, counts as made now.
    ///
    /// # Errors
    /// [`Full`]; then the answer must not be given.
    pub(super) fn remember(
        &mut self,
        name: RequestName,
        fingerprint: Fingerprint,
        answer: &[u8],
        (now, timestamp): (u64, Option<u64>),
    ) -> Result<(), Full> {
        let holders = name.holders();
        let made = timestamp.filter(|made| made.abs_diff(now) <= WINDOW_SECONDS).unwrap_or(now);
        let until = made.saturating_add(WINDOW_SECONDS + 1);
        self.0.remember(name, &holders, Answered { fingerprint, answer: answer.into() }, (now, until))
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
            let at = |answers: &mut Answers, fingerprint, now| answers.look_up(&name, &fingerprint, now);
            assert_eq!(at(&mut answers, first, 1000), Seen::New);
            answers.remember(name.clone(), first, &answer, (1000, Some(timestamp))).expect("room");
            assert_eq!(at(&mut answers, first, 1000), Seen::Retransmitted(answer.into()));
            let resealed = fingerprint(b"two", b"body");
            assert_eq!(at(&mut answers, resealed, 1000), Seen::Resealed(Status::SUCCESS));
            let reused = fingerprint(b"three", b"other");
            assert_eq!(at(&mut answers, reused, last), Seen::Reused, "{timestamp}");
            assert_eq!(at(&mut answers, reused, last + 1), Seen::New, "{timestamp}");
            answers = Answers::new(1024);
        }
    }

    #[test]
    fn another_coin_or_command_under_the_same_challenge_is_another_request() {
        let mut answers = Answers::new(1024);
        let own = fingerprint(b"one", b"body");
        answers.remember(name(1), own, &[0; 32], (1000, None)).expect("room");
        let second = CoinId { denomination: 0, serial: 43 };
        for other in [
            RequestName { coins: Some(CoinPair { first: COIN, second: Some(second) }), ..name(1) },
            RequestName { coins: Some(CoinPair { first: second, second: None }), ..name(1) },
            RequestName { coins: None, ..name(1) },
            RequestName { command: Command::GetKeyShare, ..name(1) },
            name(2),
        ] {
            assert_eq!(answers.look_up(&other, &fingerprint(b"two", b"other"), 1000), Seen::New, "{other:?}");
        }
        assert_eq!(answers.look_up(&name(1), &fingerprint(b"two", b"other"), 1000), Seen::Reused);
    }

    #[test]
    fn one_coin_fills_its_own_part_only() {
        let mut answers = Answers::new(32);
        let own = fingerprint(b"one", b"body");
        for challenge in 0..2 {
            answers.remember(name(challenge), own, &[0; 32], (1000, None)).expect("room");
        }
        assert_eq!(answers.look_up(&name(2), &own, 1000), Seen::NoRoom);
        let stranger = CoinId { denomination: 0, serial: 43 };
        let second = CoinPair { first: stranger, second: Some(COIN) };
        assert_eq!(
            answers.look_up(&RequestName { coins: Some(second), ..name(2) }, &own, 1000),
            Seen::NoRoom
        );
        let alone = CoinPair { first: stranger, second: None };
        assert_eq!(answers.look_up(&RequestName { coins: Some(alone), ..name(2) }, &own, 1000), Seen::New);
        assert!(
            matches!(answers.look_up(&name(0), &own, 1300), Seen::Retransmitted(_)),
            "nothing is forgotten"
        );
        assert_eq!(answers.look_up(&name(2), &own, 1301), Seen::New);
    }
}
