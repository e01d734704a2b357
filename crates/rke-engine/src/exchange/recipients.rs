//! The recipients of an exchange's requests, the shares to request, and the user's credentials at each.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rke_host::wallet::{self, Envelope1, Proof, Wallet};
use rke_proto::derive::ShareWidth;
use rke_proto::records::KeySet;
use rke_proto::round::{Fallback, MAX_PROBES, REQUEST_RANDOM_LEN, Recipient};
use rke_proto::{ClientSn, Envelope, EnvelopeKey, KeyContext, RAIDA_COUNT, RaidaIndex};
use rke_secret::fill_random;

use super::clock::AskedAt;
use super::raidas::{AnswerForm, Habits};
use super::{Exchange, ExchangeError, blocking};
use crate::trust::Standing;

impl Exchange {
    /// The RAIDAs to ask, each with the proof that the wallet has for it, once `trusted` has found that the Content
    /// Server is the right one. Both read files, off the runtime's threads: a slow disk must not hold up other sessions.
    pub(super) async fn prove(
        &self,
        set: &KeySet,
        wallet: Wallet,
        (width, envelope_1): (ShareWidth, Envelope1),
        required: usize,
        trusted: impl FnOnce() -> Result<Standing, ExchangeError> + Send + 'static,
    ) -> Result<(Standing, Vec<Recipient>), ExchangeError> {
        let servers: Arc<[(RaidaIndex, SocketAddr)]> = set.servers.as_slice().into();
        let raidas: Vec<RaidaIndex> = servers.iter().map(|(raida, _)| *raida).collect();
        let read = move || Ok((trusted()?, wallet::prove(&wallet, &raidas, width, envelope_1, required)?));
        let (standing, proofs) = blocking(read).await?;
        let mut random = [[0; REQUEST_RANDOM_LEN]; RAIDA_COUNT];
        fill_random(random.as_flattened_mut()).map_err(io::Error::from)?;
        let recipients = proofs.into_iter().zip(random).filter_map(|(proof, random)| {
            let (raida, endpoint) = *servers.iter().find(|(raida, _)| *raida == proof.raida)?;
            let Habits { pace, form } = self.raidas.habits(raida, endpoint);
            let Proof { envelope, key, fallback, .. } = proof;
            let ((envelope, key), fallback) = match fallback {
                Some(other) if is_asked_in_envelope_4(&other.0, form) => (other, None),
                fallback => ((envelope, key), fallback),
            };
            let fallback = fallback.map(|other| new_fallback(other, form)).transpose();
            Some(fallback.map(|fallback| Recipient {
                raida,
                endpoint,
                envelope,
                key,
                random,
                pace,
                fallback,
            }))
        });
        Ok((standing, recipients.collect::<io::Result<_>>()?))
    }
}

/// Whether a RAIDA is asked in envelope 4 at once instead of 5, because its responses in envelope 5 do not open.
fn is_asked_in_envelope_4(fallback: &Envelope, form: Option<AnswerForm>) -> bool {
    matches!(fallback, Envelope::Type4(_)) && form == Some(AnswerForm::GarblesEnvelope5)
}

/// The other envelope to ask a RAIDA in, with the wallet's proof for it.
fn new_fallback((envelope, key): (Envelope, EnvelopeKey), form: Option<AnswerForm>) -> io::Result<Fallback> {
    Ok(match envelope {
        Envelope::Type1(_) => {
            let mut random = vec![[0; REQUEST_RANDOM_LEN]; MAX_PROBES];
            fill_random(random.as_flattened_mut())?;
            let is_usual = matches!(form, Some(AnswerForm::Envelope1(_)));
            Fallback::Envelope1 { envelope, key, random, is_usual }
        }
        _ => {
            let mut random = [0; REQUEST_RANDOM_LEN];
            fill_random(&mut random)?;
            Fallback::Envelope4 { envelope, key, random }
        }
    })
}

/// The context of the requested shares.
pub(super) fn new_context(set: &KeySet, asked_at: AskedAt) -> io::Result<KeyContext> {
    let mut client_sn = [0; 5];
    fill_random(&mut client_sn)?;
    Ok(KeyContext {
        cs_id: set.cs_id,
        key_set: set.key_set,
        client_sn: ClientSn(client_sn),
        timestamp: asked_at.unix_seconds,
    })
}
