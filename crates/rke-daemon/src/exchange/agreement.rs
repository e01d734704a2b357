//! What the shares of an exchange come to: a key that both sides agree on, or why there is none.

use std::io;

use rke_proto::Bitmap;
use rke_proto::round::Round;
use rke_secret::Secret;

use super::error::ExchangeError;
use super::indexes;
use crate::confirm::{ConfirmedKey, TunnelName};
use crate::discovery::Discovered;

/// A key that the exchange ends with.
pub(super) struct AgreedKey {
    pub(super) key: Secret<32>,
    pub(super) raidas: Bitmap,
    pub(super) liars: Bitmap,
    pub(super) tunnel: Option<TunnelName>,
}

impl AgreedKey {
    pub(super) fn confirmed(confirmed: ConfirmedKey, by: &Discovered) -> Self {
        let ConfirmedKey { key, raidas, liars, key_id, session } = confirmed;
        let (host, port) = (by.target_host.clone(), by.target_port);
        Self { key, raidas, liars, tunnel: Some(TunnelName { key_id, session, host, port }) }
    }
}

/// Why there is no key.
pub(super) enum Disagreed {
    TooFewShares,
    /// These RAIDAs lied, and without them there are too few shares so far.
    TooManyLiars(Bitmap),
    Unconfirmed(String),
    Machine(io::Error),
}

impl Disagreed {
    pub(super) fn into_exchange_error(self, round: &Round, required: usize, liars: Bitmap) -> ExchangeError {
        match self {
            Self::TooFewShares | Self::TooManyLiars(_) if liars.count() > 0 => {
                let honest = round.answered().count();
                ExchangeError::TooManyLiars { required, honest, liars: indexes(liars) }
            }
            Self::TooFewShares | Self::TooManyLiars(_) => {
                let (answered, faults) = (indexes(round.answered()), round.faults());
                ExchangeError::TooFewAnswered { required, answered, faults }
            }
            Self::Unconfirmed(reason) => ExchangeError::Unconfirmed(reason),
            Self::Machine(error) => ExchangeError::Machine(error),
        }
    }
}

impl From<io::Error> for Disagreed {
    fn from(error: io::Error) -> Self {
        Self::Machine(error)
    }
}
