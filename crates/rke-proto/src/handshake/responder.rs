//! The server's side of a Noise handshake. `docs/protocol.md` section 7.

use rke_secret::{Secret, SecretError};

use super::initiator::mix_ephemeral;
use super::kem::{self, CiphertextBytes, EncapsulationSeeds, PUBLIC_KEY_LEN, PublicKeyBytes};
use super::noise::SymmetricState;
use super::packet::Response;
use super::record::{RecordOpener, RecordSealer, Sender};
use super::{Accepted, Grant, HandshakeError, SessionSecrets, Transport};
use crate::cursor::{Cursor, DecodeError};

/// A handshake with a valid message 1: the client has the psk, though the message may be a replay.
pub struct Responder {
    pub(super) state: SymmetricState,
    ciphertext: Box<CiphertextBytes>,
}

/// The content of message 1.
#[derive(Debug, PartialEq, Eq)]
pub struct MessageOne {
    /// The domain that the client requests. `None` if it overruns its payload, is empty, or is not text.
    pub domain: Option<String>,
}

impl MessageOne {
    fn decode(payload: &[u8]) -> Self {
        let read = || -> Option<String> {
            let (len, rest) = payload.split_first()?;
            let domain = rest.get(..usize::from(*len)).filter(|domain| !domain.is_empty())?;
            String::from_utf8(domain.to_vec()).ok()
        };
        Self { domain: read() }
    }
}

impl Responder {
    /// Handles message 1 under a prologue in the form in which it arrived.
    ///
    /// # Errors
    /// [`HandshakeError::WrongPsk`], also for an ephemeral key that must be refused.
    pub fn receive(
        prologue: &[u8],
        psk: &Secret<32>,
        message: &[u8],
        seeds: &EncapsulationSeeds,
    ) -> Result<(Self, MessageOne), HandshakeError> {
        let (mut state, payload, public) = Self::read(prologue, psk, message)?;
        // After the tag: a client without the psk costs no key encapsulation.
        let (ciphertext, shared) = kem::encapsulate(&public, seeds)?.ok_or(HandshakeError::WrongPsk)?;
        state.mix_hash(ciphertext.as_slice());
        mix_ephemeral(&mut state, &shared);
        Ok((Self { state, ciphertext }, MessageOne::decode(&payload)))
    }

    /// Message 1 in terms of Noise: the state after it, its payload, and e.
    pub(super) fn read(
        prologue: &[u8],
        psk: &Secret<32>,
        message: &[u8],
    ) -> Result<(SymmetricState, Vec<u8>, PublicKeyBytes), HandshakeError> {
        let mut state = SymmetricState::begin(prologue, psk)?;
        let mut cursor = Cursor::new(message);
        let public: PublicKeyBytes = cursor.array("e")?;
        let sealed = cursor.slice("payload", message.len() - PUBLIC_KEY_LEN)?;
        state.mix_hash(&public);
        state.mix_key(&public);
        let payload = state.decrypt_and_hash(sealed).map_err(|_: DecodeError| HandshakeError::WrongPsk)?;
        Ok((state, payload, public))
    }

    /// Accepts: returns the response, and the secrets that both ends then have.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn accept(self, grant: Grant) -> Result<(Response, Accepted), SecretError> {
        let Self { mut state, ciphertext } = self;
        let mut message = ciphertext.to_vec();
        state.encrypt_and_hash(&grant.to_bytes(), &mut message);
        let (to_server, to_client) = state.split()?;
        let transport = Transport {
            sealer: RecordSealer::new(to_client, Sender::Server),
            opener: RecordOpener::new(to_server, Sender::Client),
        };
        let secrets = SessionSecrets::of(&state)?;
        Ok((Response::Accepted(message), Accepted { secrets, grant, transport }))
    }
}
