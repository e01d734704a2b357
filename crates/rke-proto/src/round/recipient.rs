//! Whom a round asks, and how.

use std::net::SocketAddr;

use super::{Pace, REQUEST_RANDOM_LEN};
use crate::{Envelope, EnvelopeKey, RaidaIndex};

/// Whom to ask, and how to prove oneself there.
pub struct Recipient {
    /// The RAIDA.
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
    /// How else to ask it for a share.
    pub fallback: Option<Fallback>,
}

/// Another way to ask a RAIDA. `docs/protocol.md` section 4.
pub enum Fallback {
    /// Envelope 4 in place of 5, as soon as an answer does not open: public server code sends answers that nobody can
    /// decrypt.
    Envelope4 {
        /// The envelope, with the coin.
        envelope: Envelope,
        /// Its key.
        key: EnvelopeKey,
        /// [`REQUEST_RANDOM_LEN`] bytes from the system's generator, used once.
        random: [u8; REQUEST_RANDOM_LEN],
    },
    /// Envelope 1 next to 4, where the operator allows it: for a RAIDA that has been asked in envelope 4 in vain.
    Envelope1 {
        /// The envelope, with the coin.
        envelope: Envelope,
        /// Its key.
        key: EnvelopeKey,
        /// [`REQUEST_RANDOM_LEN`] bytes from the system's generator for each question, used once: at most
        /// [`MOST_QUESTIONS`](super::MOST_QUESTIONS) questions.
        random: Vec<[u8; REQUEST_RANDOM_LEN]>,
        /// Whether its last share came in envelope 1: then it need not be waited for.
        is_usual: bool,
    },
}
