//! The client's agreement on a narrow key, as a value: one handshake, one response. `docs/protocol.md` section 8. It
//! says what to send and takes in what came back. A wrong share cannot be identified here: the key is refused.

use rke_secret::{Secret, SecretError};

use crate::cursor::DecodeError;
use crate::derive::SECRET_LEN;
use crate::round::Round;
use crate::tunnel::packet::{ClientKeyId, PacketHeader};
use crate::tunnel::response::{self, Form};
use crate::tunnel::{Handshake, HandshakeNonce, Response};
use crate::{Bitmap, KeyContext, Status};

/// Why a key is not confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfirmError {
    /// The packet is not a response to the handshake.
    #[error("the Content Server's response is wrong: {0}")]
    Malformed(#[from] DecodeError),
    /// The Content Server does not have the key, or rejects it.
    #[error("the Content Server refused the key: {0}")]
    Refused(Status),
}

/// A narrow key that is being confirmed.
pub struct Confirmation {
    key_id: ClientKeyId,
    bitmap: Bitmap,
    key: Secret<SECRET_LEN>,
    packet: Vec<u8>,
}

impl Confirmation {
    /// Begins with the key for all collected shares. `None` before the round is ready, and if its shares are not
    /// narrow.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
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

    /// The packet to send; a resend uses the same bytes.
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// Handles the packet that came back, whose payload is decrypted in place. On `Ok` both ends have the key.
    ///
    /// # Errors
    /// [`ConfirmError`]: the key is not confirmed and never will be.
    pub fn receive(&self, header: &PacketHeader, payload: &mut [u8]) -> Result<(), ConfirmError> {
        if header.key_id != self.key_id {
            return Err(DecodeError::Mismatch("the key id").into());
        }
        if let Form::Clear(response) = response::form(payload)? {
            return Err(ConfirmError::Refused(response.status));
        }
        let response = self.key.expose(|key| Response::open(key, header, payload))?;
        if !response.is_established() {
            return Err(ConfirmError::Refused(response.status));
        }
        match response.bitmap == self.bitmap {
            true => Ok(()),
            false => Err(DecodeError::Mismatch("the bitmap").into()),
        }
    }

    pub fn into_key(self) -> Secret<SECRET_LEN> {
        self.key
    }
}
