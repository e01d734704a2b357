//! Requests for key shares, made as the daemon makes them.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use rke_host::wallet::{self, Envelope1, Proof, Wallet};
use rke_proto::derive::ShareWidth;
use rke_proto::round::{Pace, REQUEST_RANDOM_LEN, Recipient, Round, RoundConfig};
use rke_proto::{ClientSn, KeyContext, RAIDA_COUNT, RaidaIndex};
use rke_raida::network::LocalNetwork;

/// The context of an exchange that begins now.
pub(crate) fn context(network: &LocalNetwork) -> Result<KeyContext> {
    let mut client_sn = [0; 5];
    getrandom::fill(&mut client_sn)?;
    let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is wrong")?.as_secs();
    let secrets = network.master_secrets();
    let (cs_id, key_set) = (secrets.cs_id(), secrets.key_set());
    Ok(KeyContext { cs_id, key_set, client_sn: ClientSn(client_sn), timestamp })
}

/// The user's credentials for these RAIDAs.
pub(crate) fn prove(wallet: &Path, raidas: &[RaidaIndex]) -> Result<Vec<Proof>> {
    Ok(wallet::prove(&Wallet::at(wallet), raidas, ShareWidth::Wide, Envelope1::Refused, raidas.len())?)
}

/// A round that asks for a share of everyone to whom there is a proof, and needs all of them.
pub(crate) fn round(network: &LocalNetwork, proofs: Vec<Proof>, context: &KeyContext) -> Result<Round> {
    let rules = RoundConfig::new(proofs.len().min(RAIDA_COUNT));
    let mut random = [[0; REQUEST_RANDOM_LEN]; RAIDA_COUNT];
    getrandom::fill(random.as_flattened_mut())?;
    let recipients = proofs.into_iter().zip(random).map(|(Proof { raida, envelope, key, .. }, random)| {
        let endpoint = network.node_addresses()[raida.position()];
        Recipient { raida, endpoint, envelope, key, random, pace: Pace::default(), fallback: None }
    });
    Ok(Round::collect_shares(recipients.collect(), ShareWidth::Wide, context, rules)?)
}
