//! A request on the wire.

use rke_secret::SecretError;

use super::REQUEST_RANDOM_LEN;
use crate::challenge::RANDOM_LEN;
use crate::command::{self, Command, SHARE_REQUEST_LEN};
use crate::envelope::{self, RequestParts};
use crate::header::{NONCE_LEN, RequestHeader};
use crate::{Challenge, Envelope, EnvelopeKey, KeyContext, RaidaIndex};

/// The bytes to send, the same each time, and what identifies the response.
pub(super) struct Packet {
    pub(super) header: RequestHeader,
    pub(super) challenge: Challenge,
    pub(super) datagram: Vec<u8>,
}

impl Packet {
    /// A packet with a new challenge and room for a body, to be sealed before it is sent. Call this outside any scope
    /// of secrets: a value that is copied from a stack takes along whatever its padding held before.
    pub(super) fn new(
        (raida, command): (RaidaIndex, (u8, u8)),
        envelope: Envelope,
        random: &[u8; REQUEST_RANDOM_LEN],
        body_len: usize,
    ) -> Self {
        let (mut seed, mut nonce) = ([0; RANDOM_LEN], [0; NONCE_LEN]);
        seed.copy_from_slice(&random[..RANDOM_LEN]);
        nonce.copy_from_slice(&random[RANDOM_LEN..]);
        let parts = RequestParts { raida, command, envelope, random: nonce };
        let (header, datagram) = envelope::unsealed_request(&parts, body_len);
        Self { header, challenge: Challenge::new(seed), datagram }
    }

    /// A packet that requests a share, likewise.
    pub(super) fn for_share(
        (raida, command): (RaidaIndex, Command),
        envelope: Envelope,
        random: &[u8; REQUEST_RANDOM_LEN],
    ) -> Self {
        Self::new((raida, command.to_wire()), envelope, random, SHARE_REQUEST_LEN)
    }

    /// Whether these are its first bytes, at least up to the end of its header, which includes the nonce.
    pub(super) fn matches_quote(&self, quoted: &[u8]) -> bool {
        quoted.len() >= self.header.envelope.header_len() && self.datagram.starts_with(quoted)
    }

    /// Seals it in place.
    pub(super) fn seal(
        &mut self,
        key: &EnvelopeKey,
        write_body: impl FnOnce(&Challenge, &mut [u8]),
    ) -> Result<(), SecretError> {
        let Self { header, challenge, datagram } = self;
        envelope::seal_request(header, key, datagram, |body| write_body(challenge, body))
    }

    /// Seals one that requests a share.
    pub(super) fn seal_for_share(
        &mut self,
        key: &EnvelopeKey,
        context: &KeyContext,
    ) -> Result<(), SecretError> {
        self.seal(key, |challenge, body| command::write_share_request(challenge, context, body))
    }
}
