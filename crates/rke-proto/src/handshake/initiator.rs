//! The client's side of a Noise handshake. `docs/protocol.md` section 7.

use rke_secret::{Secret, SecretError};

use super::kem::{self, CIPHERTEXT_LEN, EphemeralKey, SEED_LEN};
use super::noise::SymmetricState;
use super::record::{RecordOpener, RecordSealer, Sender};
use super::{Grant, HandshakeError, Prologue, SessionSecrets, Transport};
use crate::cursor::{Cursor, DecodeError};

/// A handshake whose first packet has been sent.
pub struct Initiator {
    pub(super) state: SymmetricState,
    /// Of the ephemeral key, which lives as long as this value.
    seed: Secret<SEED_LEN>,
}

/// What a client has once the server has accepted.
pub struct Accepted {
    /// K and the resumption secret. After kind 5 they are unused.
    pub secrets: SessionSecrets,
    /// What the server grants.
    pub grant: Grant,
    /// For the records that follow.
    pub transport: Transport,
}

impl Initiator {
    /// Begins a handshake. Returns the whole first packet: the prologue, and message 1 with the domain in it.
    ///
    /// `key` serves this handshake only. `domain` is lower-case ASCII without a final dot, at most 255 bytes.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn begin(
        prologue: &Prologue,
        psk: &Secret<32>,
        key: EphemeralKey,
        domain: &str,
    ) -> Result<(Self, Vec<u8>), SecretError> {
        let domain = domain.as_bytes();
        let len = domain.len().min(usize::from(u8::MAX));
        Self::begin_with(prologue, psk, key, &[&[len as u8], &domain[..len]].concat())
    }

    /// The same with any payload.
    pub(super) fn begin_with(
        prologue: &Prologue,
        psk: &Secret<32>,
        EphemeralKey { seed, public }: EphemeralKey,
        payload: &[u8],
    ) -> Result<(Self, Vec<u8>), SecretError> {
        let mut packet = prologue.to_bytes();
        let mut state = SymmetricState::begin(&packet, psk)?;
        let mut message = public.to_vec();
        state.mix_hash(public.as_slice());
        state.mix_key(public.as_slice());
        state.encrypt_and_hash(payload, &mut message);
        packet.extend((message.len() as u16).to_be_bytes());
        packet.append(&mut message);
        Ok((Self { state, seed }, packet))
    }

    /// Handles message 2, the content of a 0x81 packet.
    ///
    /// # Errors
    /// [`HandshakeError`]: the other end does not have the psk, or this is not message 2.
    pub fn receive(self, message: &[u8]) -> Result<Accepted, HandshakeError> {
        let (state, payload) = self.read(message)?;
        let grant = Grant::decode(&payload)?;
        let (to_server, to_client) = state.split()?;
        let transport = Transport {
            sealer: RecordSealer::new(to_server, Sender::Client),
            opener: RecordOpener::new(to_client, Sender::Server),
        };
        Ok(Accepted { secrets: SessionSecrets::of(&state)?, grant, transport })
    }

    /// Message 2 in terms of Noise: the final state of the handshake, and the payload.
    pub(super) fn read(self, message: &[u8]) -> Result<(SymmetricState, Vec<u8>), HandshakeError> {
        let Self { mut state, seed } = self;
        let mut cursor = Cursor::new(message);
        let ciphertext: [u8; CIPHERTEXT_LEN] = cursor.array("ciphertext")?;
        let sealed = cursor.slice("payload", message.len() - CIPHERTEXT_LEN)?;
        state.mix_hash(&ciphertext);
        let shared = kem::decapsulate(&seed, &ciphertext)?.ok_or(HandshakeError::WrongPsk)?;
        drop(seed);
        mix_ephemeral(&mut state, &shared);
        let payload = state.decrypt_and_hash(sealed).map_err(|_: DecodeError| HandshakeError::WrongPsk)?;
        Ok((state, payload))
    }
}

/// `MixKey` of the ephemeral exchange's shared secret.
pub(super) fn mix_ephemeral(state: &mut SymmetricState, shared: &Secret<32>) {
    #[cfg(feature = "fault-injection")]
    if rke_secret::fault_injection::is_injected(rke_secret::fault_injection::Fault::NoEphemeral) {
        return state.mix_key(&[0; 32]);
    }
    shared.expose(|shared| state.mix_key(shared));
}
