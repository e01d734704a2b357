//! The client's side of agreeing on a key, as a value: handshake, share check where the key is not
//! the Content Server's, handshake again with the shares that are true. `docs/protocol.md` sections
//! 7.2 to 7.4. It says what to send and is told what came back.

use rke_secret::{Secret, SecretError};

use crate::cursor::DecodeError;
use crate::derive::{SECRET_LEN, ShareWidth};
use crate::round::Round;
use crate::tunnel::answer::{self, Form, LongForm};
use crate::tunnel::packet::{ClientKeyId, Covered, PacketHeader};
use crate::tunnel::{Answer, Handshake, HandshakeNonce, share_check};
use crate::{Bitmap, KeyContext, Status};

/// Why a key is not confirmed.
#[derive(Debug, thiserror::Error)]
pub enum ConfirmError {
    /// What came back is no answer to what was sent.
    #[error("the Content Server's answer is wrong: {0}")]
    Malformed(#[from] DecodeError),
    /// The Content Server has no such key, or does not want it.
    #[error("the Content Server refused the key: {0}")]
    Refused(Status),
    /// Without the shares that are wrong there are too few.
    #[error("too few of the shares are right: {} are, {} are not", .honest.count(), .liars.count())]
    TooManyLiars {
        /// RAIDAs whose shares the Content Server has too.
        honest: Bitmap,
        /// Those whose shares it does not have.
        liars: Bitmap,
    },
    /// There is no secret memory left.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Send [`Confirmation::packet`] and wait for its answer.
    Send,
    /// Nothing: both sides have the key.
    Confirmed,
}

/// What was sent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    First,
    ShareCheck,
    /// A handshake with shares that were found true, and what its HMAC covers.
    Checked(Covered),
}

/// A key on its way to being confirmed.
pub struct Confirmation {
    context: KeyContext,
    key_id: ClientKeyId,
    handshake: Handshake,
    asked: Bitmap,
    bitmap: Bitmap,
    key: Secret<SECRET_LEN>,
    step: Step,
    packet: Vec<u8>,
}

impl Confirmation {
    /// Begins with the key that all collected shares give. `None` before the round is ready.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory left.
    pub fn begin(
        round: &Round,
        context: &KeyContext,
        key_id: ClientKeyId,
        handshake: Handshake,
    ) -> Result<Option<Self>, SecretError> {
        let Some(key) = round.derive_key(context)? else { return Ok(None) };
        let bitmap = round.answered();
        let (context, step, packet) = (*context, Step::First, Vec::new());
        let mut own = Self { context, key_id, handshake, asked: bitmap, bitmap, key, step, packet };
        own.shake_hands(Covered::Payload);
        Ok(Some(own))
    }

    /// What is to be sent now; the same bytes again where they got lost.
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// Takes in the packet that came back, its payload decrypted where it lies.
    ///
    /// # Errors
    /// [`ConfirmError`]: the key is not confirmed and will not be.
    pub fn receive(
        &mut self,
        round: &Round,
        header: &PacketHeader,
        payload: &mut [u8],
    ) -> Result<Next, ConfirmError> {
        match self.step {
            Step::ShareCheck => self.receive_check(round, header, payload),
            Step::First | Step::Checked(_) => self.receive_answer(round, header, payload),
        }
    }

    /// The key, and the RAIDAs whose shares make it.
    pub fn into_key(self) -> (Secret<SECRET_LEN>, Bitmap) {
        (self.key, self.bitmap)
    }

    /// The RAIDAs whose shares turned out wrong.
    pub fn liars(&self) -> Bitmap {
        self.asked.without(self.bitmap)
    }

    fn shake_hands(&mut self, covered: Covered) {
        let nonce = HandshakeNonce::new(&self.context, self.bitmap);
        let (handshake, key_id) = (self.handshake, self.key_id);
        self.packet = self.key.expose(|key| handshake.seal_covering(key, key_id, &nonce, covered));
    }

    fn receive_answer(
        &mut self,
        round: &Round,
        header: &PacketHeader,
        payload: &mut [u8],
    ) -> Result<Next, ConfirmError> {
        if header.key_id != self.key_id {
            return Err(DecodeError::Mismatch("the key id").into());
        }
        if let Form::Clear(answer, _) = answer::form(payload, LongForm::Encrypted)? {
            return self.go_on_after(round, answer.status);
        }
        let answer = self.key.expose(|key| Answer::open(key, header, payload))?;
        match answer.status {
            Status::SUCCESS if answer.bitmap == self.bitmap => Ok(Next::Confirmed),
            Status::SUCCESS => Err(DecodeError::Mismatch("the bitmap").into()),
            status => Err(ConfirmError::Refused(status)),
        }
    }

    /// A key that the Content Server does not have: some share may be wrong, or, where all were
    /// found right, the peer's HMAC covers the header too.
    fn go_on_after(&mut self, round: &Round, status: Status) -> Result<Next, ConfirmError> {
        let is_wide = round.share_width() == Some(ShareWidth::Wide);
        match (status, self.step) {
            (Status::UNKNOWN_KEY, Step::First) if is_wide => {
                let nonce = HandshakeNonce::new(&self.context, self.bitmap);
                self.packet = share_check::ask(&nonce, round.shares(self.bitmap));
                self.step = Step::ShareCheck;
                Ok(Next::Send)
            }
            (Status::UNKNOWN_KEY, Step::Checked(Covered::Payload)) => {
                self.shake_hands_again(Covered::HeaderAndPayload)
            }
            _ => Err(ConfirmError::Refused(status)),
        }
    }

    fn shake_hands_again(&mut self, covered: Covered) -> Result<Next, ConfirmError> {
        self.shake_hands(covered);
        self.step = Step::Checked(covered);
        Ok(Next::Send)
    }

    fn receive_check(
        &mut self,
        round: &Round,
        header: &PacketHeader,
        payload: &mut [u8],
    ) -> Result<Next, ConfirmError> {
        let Form::Clear(answer, tag) = answer::form(payload, LongForm::Clear)? else {
            return Err(DecodeError::Mismatch("the form of the answer").into());
        };
        let honest = answer.bitmap;
        if !honest.is_within(self.asked) {
            return Err(DecodeError::Mismatch("the bitmap").into());
        }
        match (answer.status, tag) {
            (Status::SUCCESS, Some(tag)) => {
                let key = round.derive_key_from(&self.context, honest)?;
                let key = key.ok_or(DecodeError::Mismatch("the bitmap"))?;
                if !key.expose(|key| answer.matches(key, header, tag)) {
                    return Err(DecodeError::Mismatch("the HMAC").into());
                }
                let covered =
                    if honest == self.bitmap { Covered::HeaderAndPayload } else { Covered::Payload };
                (self.key, self.bitmap) = (key, honest);
                self.shake_hands_again(covered)
            }
            (Status::BAD_PARAMETER, _) if honest != self.asked => {
                Err(ConfirmError::TooManyLiars { honest, liars: self.asked.without(honest) })
            }
            (status, _) => Err(ConfirmError::Refused(status)),
        }
    }
}
