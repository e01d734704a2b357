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
    datagram: [u8; 32],
    body: [u8; 32],
    answer: Vec<u8>,
}

/// The challenges of the last ten minutes.
#[derive(Default)]
pub struct Replays {
    by_challenge: HashMap<Challenge, Remembered>,
    /// In order of arrival, with the time when each may be forgotten.
    order: VecDeque<(u64, Challenge)>,
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
        while self.order.front().is_some_and(|(until, _)| *until <= now) {
            self.forget_oldest();
        }
        match self.by_challenge.get(challenge) {
            None => Seen::New,
            Some(seen) if seen.datagram == fingerprint.datagram => Seen::Retransmitted(seen.answer.clone()),
            Some(seen) if seen.body == fingerprint.body => Seen::Resealed,
            Some(_) => Seen::Reused,
        }
    }

    /// Keeps the answer to a new challenge.
    pub fn remember(&mut self, challenge: Challenge, fingerprint: Fingerprint, answer: &[u8], now: u64) {
        if self.order.len() >= MAX_REMEMBERED {
            self.forget_oldest();
        }
        let Fingerprint { datagram, body } = fingerprint;
        self.by_challenge.insert(challenge, Remembered { datagram, body, answer: answer.into() });
        self.order.push_back((now.saturating_add(REMEMBERED_SECONDS), challenge));
    }

    fn forget_oldest(&mut self) {
        if let Some((_, challenge)) = self.order.pop_front() {
            self.by_challenge.remove(&challenge);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
