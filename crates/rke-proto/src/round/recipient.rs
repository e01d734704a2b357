//! The recipients of a round's requests.

use std::net::SocketAddr;

use super::{Pace, REQUEST_RANDOM_LEN};
use crate::{Envelope, EnvelopeKey, RaidaIndex};

/// A recipient, and the credentials for it.
pub struct Recipient {
    pub raida: RaidaIndex,
    /// Where it listens.
    pub endpoint: SocketAddr,
    /// The envelope, with the coins.
    pub envelope: Envelope,
    /// The envelope's key.
    pub key: EnvelopeKey,
    /// [`REQUEST_RANDOM_LEN`] bytes from the system's generator, used once.
    pub random: [u8; REQUEST_RANDOM_LEN],
    /// When to ask.
    pub pace: Pace,
    /// Another way to request a share from it.
    pub fallback: Option<Fallback>,
}

/// Another way to send a request to a RAIDA. `docs/protocol.md` section 4.
pub enum Fallback {
    /// Envelope 4 in place of 5, as soon as a response does not open: public server code sends responses that nobody
    /// can decrypt.
    Envelope4 {
        /// The envelope, with the coin.
        envelope: Envelope,
        key: EnvelopeKey,
        /// [`REQUEST_RANDOM_LEN`] bytes from the system's generator, used once.
        random: [u8; REQUEST_RANDOM_LEN],
    },
    /// Envelope 1 in addition to 4, if the operator allows it: for a RAIDA that gives no share in envelope 4.
    Envelope1 {
        /// The envelope, with the coin.
        envelope: Envelope,
        key: EnvelopeKey,
        /// [`REQUEST_RANDOM_LEN`] bytes from the system's generator for each probe, used once: at most
        /// [`MAX_PROBES`](super::MAX_PROBES) probes.
        random: Vec<[u8; REQUEST_RANDOM_LEN]>,
        /// Whether its last share came in envelope 1, so that the probes start at once.
        is_usual: bool,
    },
}
