//! Whom an exchange asks, for what, and how the user proves himself there.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rke_host::wallet::{self, Envelope1, Proof, Wallet};
use rke_proto::derive::ShareWidth;
use rke_proto::records::KeySet;
use rke_proto::round::{Fallback, REQUEST_RANDOM_LEN, Recipient};
use rke_proto::{ClientSn, KeyContext, RAIDA_COUNT, RaidaIndex};

use super::clock::AskedAt;
use super::{Exchange, ExchangeError};
use crate::blocking::spawn_blocking;
use crate::raidas::{AnswerForm, Habits};

impl Exchange {
    /// Whom to ask, each with the proof that the wallet has for it. Wallets are read off the
    /// runtime's threads: a slow disk must not hold up other sessions.
    pub(super) async fn prove(
        &self,
        set: &KeySet,
        wallet: Wallet,
        (width, envelope_1): (ShareWidth, Envelope1),
        required: usize,
    ) -> Result<Vec<Recipient>, ExchangeError> {
        let servers: Arc<[(RaidaIndex, SocketAddr)]> = set.servers.as_slice().into();
        let raidas: Vec<RaidaIndex> = servers.iter().map(|(raida, _)| *raida).collect();
        let read = move || wallet::prove(&wallet, &raidas, width, envelope_1, required);
        let proofs = spawn_blocking(read).await.map_err(io::Error::other)??;
        let mut random = [[[0; REQUEST_RANDOM_LEN]; 2]; RAIDA_COUNT];
        getrandom::fill(random.as_flattened_mut().as_flattened_mut()).map_err(io::Error::from)?;
        let recipients = proofs.into_iter().zip(random).filter_map(|(proof, [random, other_random])| {
            let (raida, endpoint) = *servers.iter().find(|(raida, _)| *raida == proof.raida)?;
            let Habits { pace, form } = self.raidas.habits(raida, endpoint);
            let Proof { envelope, key, fallback, .. } = proof;
            let ((envelope, key), fallback) = match fallback {
                Some(other) if form == Some(AnswerForm::GarblesEnvelope5) => (other, None),
                fallback => ((envelope, key), fallback),
            };
            let fallback = fallback.map(|(envelope, key)| Fallback { envelope, key, random: other_random });
            Some(Recipient { raida, endpoint, envelope, key, random, pace, fallback })
        });
        Ok(recipients.collect())
    }
}

/// What the shares are asked for.
pub(super) fn new_context(set: &KeySet, asked_at: AskedAt) -> io::Result<KeyContext> {
    let mut client_sn = [0; 5];
    getrandom::fill(&mut client_sn)?;
    Ok(KeyContext {
        cs_id: set.cs_id,
        key_set: set.key_set,
        client_sn: ClientSn(client_sn),
        timestamp: asked_at.unix_seconds,
    })
}
