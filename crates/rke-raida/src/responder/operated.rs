//! What the operator of a RAIDA configures: its policy, and the coins that it knows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use rke_host::wallet::Envelope1;
use rke_proto::coin::{AN_LEN, CoinId};
use rke_proto::{Envelope, EnvelopeKey, Status};
use rke_secret::{Secret, SecretError};

use super::Responder;
use super::imitation::Imitation;
use crate::owners::Preloaders;
use crate::replay::DEFAULT_PLACES;

/// What the operator of a RAIDA configures.
#[derive(Debug, Clone)]
pub struct NodePolicy {
    /// The coins that may preload master secrets.
    pub preloaders: Preloaders,
    /// Whether it responds to requests in envelope 1.
    pub envelope_1: Envelope1,
    /// The limit on remembered requests.
    pub replay_places: usize,
    /// The server that it imitates. Only in tests.
    pub imitates: Imitation,
}

impl Default for NodePolicy {
    /// Nobody preloads.
    fn default() -> Self {
        let (preloaders, envelope_1) = (Preloaders::default(), Envelope1::Refused);
        Self { preloaders, envelope_1, replay_places: DEFAULT_PLACES, imitates: Imitation::Nobody }
    }
}

/// The coins that a RAIDA knows, by their ANs.
pub type Ans = HashMap<CoinId, Secret<AN_LEN>>;

/// What the operator may change while the node runs.
pub(super) struct Operated {
    pub(super) ans: Ans,
    pub(super) rules: NodePolicy,
}

impl Operated {
    /// The key that opens an envelope: from the ANs of the coins that it names.
    pub(super) fn envelope_key(&self, envelope: Envelope) -> Result<EnvelopeKey, Status> {
        let ans = envelope.coins().map(|coin| self.ans.get(&coin).ok_or(Status::COIN_NOT_FOUND));
        let ans: Vec<&Secret<AN_LEN>> = ans.collect::<Result<_, _>>()?;
        EnvelopeKey::of(envelope, &ans).map_err(super::no_memory)
    }
}

impl Responder {
    /// Replaces the coins and the policy, except the number of requests that it remembers. Key sets and remembered
    /// requests stay.
    pub fn change(&self, ans: Ans, rules: NodePolicy) {
        self.operated.store(Arc::new(Operated { ans, rules }));
    }

    /// Replaces the coins, and keeps the policy.
    pub fn change_coins(&self, ans: Ans) {
        let rules = self.operated.load().rules.clone();
        self.change(ans, rules);
    }

    /// Adds coins, and changes the ANs of those that it knows already. Returns how many it knows now.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full; then its coins are unchanged.
    pub fn add_coins(&self, mut ans: Ans) -> Result<usize, SecretError> {
        for (coin, an) in &self.operated.load().ans {
            if let Entry::Vacant(place) = ans.entry(*coin) {
                place.insert(an.duplicate()?);
            }
        }
        let coins = ans.len();
        self.change_coins(ans);
        Ok(coins)
    }
}
