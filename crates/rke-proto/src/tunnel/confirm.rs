//! The client's side of agreeing on a narrow key, as a value: one handshake, one answer. `docs/protocol.md` section 8.
//! It says what to send and hears what came back. A wrong share cannot be found here: the key is refused.

use rke_secret::{Secret, SecretError};

use crate::cursor::DecodeError;
use crate::derive::SECRET_LEN;
use crate::round::Round;
use crate::tunnel::answer::{self, Form};
use crate::tunnel::packet::{ClientKeyId, PacketHeader};
use crate::tunnel::{Answer, Handshake, HandshakeNonce};
use crate::{Bitmap, KeyContext, Status};

/// Why a key is not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    /// What came back is not an answer to the handshake.
    #[error("the Content Server's answer is wrong: {0}")]
    Malformed(#[from] DecodeError),
    /// The Content Server has no such key, or does not want it.
    #[error("the Content Server refused the key: {0}")]
    Refused(Status),
}

/// A narrow key on its way to being confirmed.
pub struct Confirmation {
    key_id: ClientKeyId,
    bitmap: Bitmap,
    key: Secret<SECRET_LEN>,
    packet: Vec<u8>,
}

impl Confirmation {
    /// Begins with the key that all collected shares give. `None` before the round is ready, and where its shares
    /// are not narrow.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory left.
    pub fn begin(
        round: &Round,
        context: &KeyContext,
        key_id: ClientKeyId,
        handshake: Handshake,
    ) -> Result<Option<Self>, SecretError> {
        let key = round.narrow_key(context)?;
        Ok(key.map(|key| {
            Self::with_key(key, &HandshakeNonce::new(context, round.answered()), key_id, handshake)
        }))
    }

    pub(super) fn with_key(
        key: Secret<SECRET_LEN>,
        nonce: &HandshakeNonce,
        key_id: ClientKeyId,
        handshake: Handshake,
    ) -> Self {
        let packet = key.expose(|key| handshake.seal(key, key_id, nonce));
        Self { key_id, bitmap: nonce.bitmap, key, packet }
    }

    /// What is to be sent; the same bytes again where they got lost.
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// Takes in the packet that came back, its payload decrypted where it lies. Both ends have the key where this is
    /// `Ok`.
    ///
    /// # Errors
    /// [`ConfirmError`]: the key is not confirmed and will not be.
    pub fn receive(&self, header: &PacketHeader, payload: &mut [u8]) -> Result<(), ConfirmError> {
        if header.key_id != self.key_id {
            return Err(DecodeError::Mismatch("the key id").into());
        }
        if let Form::Clear(answer) = answer::form(payload)? {
            return Err(ConfirmError::Refused(answer.status));
        }
        let answer = self.key.expose(|key| Answer::open(key, header, payload))?;
        if !answer.is_established() {
            return Err(ConfirmError::Refused(answer.status));
        }
        match answer.bitmap == self.bitmap {
            true => Ok(()),
            false => Err(DecodeError::Mismatch("the bitmap").into()),
        }
    }

    /// The key.
    pub fn into_key(self) -> Secret<SECRET_LEN> {
        self.key
    }
}
