//! What the operator of a RAIDA decides: its rules, and the coins that it knows.

use std::collections::HashMap;

use rke_host::wallet::Envelope1;
use rke_proto::coin::{AN_LEN, CoinId};
use rke_proto::{Envelope, EnvelopeKey, Status};
use rke_secret::Secret;

use super::imitation::Imitation;
use crate::owners::Preloaders;
use crate::replay::DEFAULT_PLACES;

/// What the operator of a RAIDA decides.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The coins that may preload master secrets.
    pub preloaders: Preloaders,
    /// Whether requests in envelope 1 are answered.
    pub envelope_1: Envelope1,
    /// How many requests are remembered at one time, at most.
    pub replay_places: usize,
    /// Whom it imitates. Nobody, but in tests.
    pub imitates: Imitation,
}

impl Default for Rules {
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
    pub(super) rules: Rules,
}

impl Operated {
    /// The key that opens an envelope: from the ANs of the coins that it names.
    pub(super) fn envelope_key(&self, envelope: Envelope) -> Result<EnvelopeKey, Status> {
        let ans = envelope.coins().map(|coin| self.ans.get(&coin).ok_or(Status::COIN_NOT_FOUND));
        let ans: Vec<&Secret<AN_LEN>> = ans.collect::<Result<_, _>>()?;
        EnvelopeKey::of(envelope, &ans).map_err(super::no_memory)
    }
}
