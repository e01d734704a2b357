//! The challenges that a node has answered, for as long as their timestamps could be accepted
//! again: an exact retransmission gets the same answer, a reused challenge is refused.
//! `docs/protocol.md` section 5.

use std::collections::{HashMap, VecDeque};

use rke_proto::Challenge;
use sha2::{Digest, Sha256};

/// Seconds that a request's timestamp may differ from the node's clock.
pub const WINDOW_SECONDS: u64 = 300;

/// A timestamp from the future is accepted until it is this much in the past.
const REMEMBERED_SECONDS: u64 = 2 * WINDOW_SECONDS + 1;

/// Bounds the memory at some tens of megabytes; past it the oldest are forgotten.
const MAX_REMEMBERED: usize = 1 << 17;

/// What is known of a request's challenge.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen {
    /// Nothing: answer, then [`Replays::remember`].
    New,
    /// The very same datagram: this was the answer.
    Retransmitted(Vec<u8>),
    /// The same request, sealed anew: answer anew.
    Resealed,
    /// Another request: refuse.
    Reused,
}

struct Remembered {
    challenge: Challenge,
    /// When it may be forgotten.
    until: u64,
    datagram: [u8; 32],
    body: [u8; 32],
    answer: Box<[u8]>,
}

/// The challenges of the last ten minutes.
#[derive(Default)]
pub struct Replays {
    /// In order of arrival.
    remembered: VecDeque<Remembered>,
    /// How many have been forgotten: the number of the first.
    forgotten: u64,
    /// The number of each.
    by_challenge: HashMap<Challenge, u64>,
}

/// Hashes that tell one request from another without keeping it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fingerprint {
    datagram: [u8; 32],
    body: [u8; 32],
}

impl Fingerprint {
    /// The fingerprint of a datagram as it came; the body is still to be opened.
    pub fn of_datagram(datagram: &[u8]) -> Self {
        Self { datagram: Sha256::digest(datagram).into(), body: [0; 32] }
    }

    /// Adds the sender's coins and command (`sender`) and the opened body.
    pub fn with_body(mut self, sender: &[u8], body: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(sender);
        hash.update(body);
        self.body = hash.finalize().into();
        self
    }
}

impl Replays {
    /// What is known of a challenge at `now`, in Unix seconds.
    pub fn look_up(&mut self, challenge: &Challenge, fingerprint: &Fingerprint, now: u64) -> Seen {
        while self.remembered.front().is_some_and(|oldest| oldest.until <= now) {
            self.forget_oldest();
        }
        let number = self.by_challenge.get(challenge);
        match number.and_then(|number| self.remembered.get((number - self.forgotten) as usize)) {
            None => Seen::New,
            Some(seen) if seen.datagram == fingerprint.datagram => Seen::Retransmitted(seen.answer.to_vec()),
            Some(seen) if seen.body == fingerprint.body => Seen::Resealed,
            Some(_) => Seen::Reused,
        }
    }

    /// Keeps the answer to a new challenge.
    pub fn remember(&mut self, challenge: Challenge, fingerprint: Fingerprint, answer: &[u8], now: u64) {
        if self.remembered.len() >= MAX_REMEMBERED {
            self.forget_oldest();
        }
        let Fingerprint { datagram, body } = fingerprint;
        let until = now.saturating_add(REMEMBERED_SECONDS);
        self.by_challenge.insert(challenge, self.forgotten + self.remembered.len() as u64);
        self.remembered.push_back(Remembered { challenge, until, datagram, body, answer: answer.into() });
    }

    fn forget_oldest(&mut self) {
        if let Some(oldest) = self.remembered.pop_front() {
            self.by_challenge.remove(&oldest.challenge);
            self.forgotten += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_is_left_when_others_are_forgotten() {
        let mut replays = Replays::default();
        let challenge = |at: u32| Challenge::new(std::array::from_fn(|byte| (at >> (8 * (byte % 4))) as u8));
        let fingerprint = |at: u32| Fingerprint::of_datagram(&at.to_be_bytes());
        let most = MAX_REMEMBERED as u32;
        for at in 0..most + 3 {
            assert_eq!(replays.look_up(&challenge(at), &fingerprint(at), 1000), Seen::New);
            replays.remember(challenge(at), fingerprint(at), &at.to_be_bytes(), 1000 + u64::from(at > 9));
        }
        let answer = |at: u32| Seen::Retransmitted(at.to_be_bytes().into());
        for at in [3, 9, 10, most, most + 2] {
            assert_eq!(replays.look_up(&challenge(at), &fingerprint(at), 1000), answer(at), "{at}");
        }
        assert_eq!(
            replays.look_up(&challenge(2), &fingerprint(2), 1000),
            Seen::New,
            "the oldest are forgotten"
        );
        let later = 1000 + REMEMBERED_SECONDS;
        assert_eq!(replays.look_up(&challenge(9), &fingerprint(9), later), Seen::New);
        assert_eq!(replays.look_up(&challenge(10), &fingerprint(10), later), answer(10));
    }

    #[test]
    fn tells_retransmissions_from_reuse_and_forgets_in_time() {
        let mut replays = Replays::default();
        let challenge = Challenge::new([1; 12]);
        let first = Fingerprint::of_datagram(b"one").with_body(b"coin", b"body");
        assert_eq!(replays.look_up(&challenge, &first, 1000), Seen::New);
        replays.remember(challenge, first, b"answer", 1000);
        assert_eq!(replays.look_up(&challenge, &first, 1600), Seen::Retransmitted(b"answer".to_vec()));
        let resealed = Fingerprint::of_datagram(b"two").with_body(b"coin", b"body");
        assert_eq!(replays.look_up(&challenge, &resealed, 1600), Seen::Resealed);
        let other = Fingerprint::of_datagram(b"three").with_body(b"coin", b"other");
        assert_eq!(replays.look_up(&challenge, &other, 1600), Seen::Reused);
        assert_eq!(replays.look_up(&challenge, &other, 1601), Seen::New);
    }
}
