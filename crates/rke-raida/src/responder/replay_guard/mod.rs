//! The requests that a node has responded to, for as long as they could be accepted again: an exact retransmission
//! gets the same response, a reused challenge is refused. `docs/protocol.md` section 5.

use rke_proto::challenge::CHALLENGE_LEN;
use rke_proto::coin::{COIN_PAIR_LEN, CoinPair};
use rke_proto::command::Command;
use rke_proto::{Challenge, Status};
use sha2::{Digest, Sha256};

use crate::replay::{Full, ReplayMemory, WINDOW_SECONDS};

/// The client and the request: challenges of other clients do not collide with it. Plain bytes, because the value is
/// made on a stack that held keys and outlives it: the padding of other types could keep what the keys left there.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct RequestName {
    /// The number of coins, and the coins. Zeros in envelope 0.
    coins: [u8; 1 + COIN_PAIR_LEN],
    command: [u8; 2],
    challenge: [u8; CHALLENGE_LEN],
}

/// A 1 followed by a coin, or zeros for requests without one.
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

    /// The accounts that it is remembered on. All requests without a coin share one.
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

/// Hashes that distinguish requests without storing them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint {
    datagram: [u8; 32],
    body: [u8; 32],
}

impl Fingerprint {
    /// The fingerprint of a datagram as it arrived, before its body is opened.
    pub(super) fn of_datagram(datagram: &[u8]) -> Self {
        Self { datagram: Sha256::digest(datagram).into(), body: [0; 32] }
    }

    /// Adds the opened body.
    pub(super) fn with_body(self, body: &[u8]) -> Self {
        Self { body: Sha256::digest(body).into(), ..self }
    }
}

/// The state of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReplayCheck {
    /// New: respond, then call [`ReplayGuard::finish`].
    New,
    /// New, but the memory is full: refuse.
    NoRoom,
    /// The same request, which another receiver is responding to at this moment.
    Underway,
    /// The very same datagram, with its response.
    Retransmitted(Vec<u8>),
    /// The same request, sealed again, with its status.
    Resealed(Status),
    /// A different request under the same challenge: refuse.
    Reused,
}

struct Remembered {
    fingerprint: Fingerprint,
    /// Empty until the response is made.
    answer: Box<[u8]>,
}

impl Remembered {
    /// Compares a request with the remembered one of the same name.
    fn compare(&self, request: &Fingerprint) -> ReplayCheck {
        if self.fingerprint.body != request.body {
            return ReplayCheck::Reused;
        }
        match self.answer.get(2) {
            None => ReplayCheck::Underway,
            Some(_) if self.fingerprint.datagram == request.datagram => {
                ReplayCheck::Retransmitted(self.answer.to_vec())
            }
            Some(status) => ReplayCheck::Resealed(Status(*status)),
        }
    }
}

/// The responses that a node has sent, and the requests that it is working on.
pub(super) struct ReplayGuard(ReplayMemory<Holder, RequestName, Remembered>);

impl ReplayGuard {
    /// An empty guard with this many places.
    pub(super) fn new(places: usize) -> Self {
        Self(ReplayMemory::new(places))
    }

    /// The state of a request at `now`, in Unix seconds. A new one is remembered from here on, for as long as it
    /// could be accepted again, based on its `timestamp`. Without a timestamp, or with one that is not accepted, it
    /// counts as made now.
    pub(super) fn begin(
        &mut self,
        name: &RequestName,
        fingerprint: &Fingerprint,
        (now, timestamp): (u64, Option<u64>),
    ) -> ReplayCheck {
        if let Some(known) = self.0.look_up(name, now) {
            return known.compare(fingerprint);
        }
        let made = timestamp.filter(|made| made.abs_diff(now) <= WINDOW_SECONDS).unwrap_or(now);
        let until = made.saturating_add(WINDOW_SECONDS + 1);
        let underway = Remembered { fingerprint: *fingerprint, answer: Box::default() };
        match self.0.remember(name.clone(), &name.holders(), underway, (now, until)) {
            Ok(()) => ReplayCheck::New,
            Err(Full) => ReplayCheck::NoRoom,
        }
    }

    /// How many requests it remembers at `now`, in Unix seconds, and how many it can.
    pub(super) fn fill(&mut self, now: u64) -> (usize, usize) {
        self.0.fill(now)
    }

    /// Stores the response to a new request.
    pub(super) fn finish(&mut self, name: &RequestName, answer: &[u8], now: u64) {
        if let Some(known) = self.0.look_up_mut(name, now) {
            known.answer = answer.into();
        }
    }
}

#[cfg(test)]
mod tests;
