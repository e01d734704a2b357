//! The client's steps from collected shares to a session's key, as a value: the handshake, a share check if the
//! server has different shares, and another handshake with the right ones. `docs/protocol.md` section 7. It says what
//! to send and takes in what came back.

use rke_secret::{Secret, SecretError};

use super::packet::{Reason, Response};
use super::prologue::{ExchangePrologue, Prologue};
use super::{Accepted, EphemeralKey, HandshakeError, Initiator, SEED_LEN, psk, share_check};
use crate::derive::ShareWidth;
use crate::round::Round;
use crate::{Bitmap, KeyContext};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum AgreementError {
    /// The server refused. Not authenticated.
    #[error("the Content Server refused: {0}")]
    Refused(Reason),
    /// The other end is not the Content Server, or misbehaves.
    #[error("the other end is not the Content Server: {0}")]
    NotTheServer(#[from] HandshakeError),
    /// The response belongs to another request.
    #[error("the other end is not the Content Server: its response does not fit the request")]
    Unexpected,
    /// The share check proves nothing, so no RAIDA is reported as a liar.
    #[error("the Content Server could not show which shares are right")]
    Unproven {
        /// The number of matching tags according to the response.
        right: usize,
    },
}

impl From<SecretError> for AgreementError {
    fn from(error: SecretError) -> Self {
        Self::NotTheServer(error.into())
    }
}

/// What to do next.
pub enum Next {
    /// Send [`Agreement::packet`] on a new connection.
    Send,
    /// Both ends have the key.
    Agreed(Box<Agreed>),
}

/// A session's key that both ends have.
pub struct Agreed {
    /// The result of the handshake. Its transport carries the end records that confirm the handshake.
    pub accepted: Accepted,
    /// The RAIDAs whose shares were used.
    pub raidas: Bitmap,
    /// Those whose shares were proven wrong.
    pub liars: Bitmap,
    /// The exchange, which names the coins.
    pub prologue: ExchangePrologue,
}

enum Step {
    /// The first handshake was sent.
    First(Initiator),
    /// The share check was sent.
    Check,
    /// The handshake with the right shares was sent.
    Second(Initiator),
}

/// A key that is being agreed on.
pub struct Agreement {
    prologue: ExchangePrologue,
    width: ShareWidth,
    required: usize,
    domain: String,
    liars: Bitmap,
    /// `None` while a response is handled, and after an error.
    step: Option<Step>,
    packet: Vec<u8>,
}

impl Agreement {
    /// Begins with the shares that a round has collected for `context` from a set of RAIDAs. `None` if they are fewer
    /// than `required`, or the round collects none.
    ///
    /// # Errors
    /// [`SecretError`], if secret memory is full.
    pub fn begin(
        (round, raidas): (&Round, Bitmap),
        context: &KeyContext,
        domain: &str,
        required: usize,
        key: EphemeralKey,
    ) -> Result<Option<Self>, SecretError> {
        let Some(width) = round.share_width() else { return Ok(None) };
        let groups = round.groups(raidas);
        let prologue = ExchangePrologue::new(*context, groups);
        let Some(prologue) = prologue.filter(|own| own.raidas().count() >= required) else { return Ok(None) };
        let (domain, liars, step, packet) = (domain.to_owned(), Bitmap::default(), None, Vec::new());
        let mut own = Self { prologue, width, required, domain, liars, step, packet };
        own.step = Some(Step::First(own.shake_hands(round, key)?));
        Ok(Some(own))
    }

    /// The packet to send now. A handshake's first packet is accepted only once: if it may have arrived and the
    /// response is lost, begin again.
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// Handles the response. `seed` is for a second handshake.
    ///
    /// # Errors
    /// [`AgreementError`]; no key can follow.
    pub fn receive(
        &mut self,
        round: &Round,
        response: &Response,
        seed: Secret<SEED_LEN>,
    ) -> Result<Next, AgreementError> {
        let step = self.step.take().ok_or(AgreementError::Unexpected)?;
        match (step, response) {
            (Step::First(initiator) | Step::Second(initiator), Response::Accepted(message)) => {
                let accepted = initiator.receive(message)?;
                let (raidas, liars, prologue) = (self.prologue.raidas(), self.liars, self.prologue.clone());
                Ok(Next::Agreed(Box::new(Agreed { accepted, raidas, liars, prologue })))
            }
            (Step::First(_), Response::Refused(Reason::WrongShares)) if self.width == ShareWidth::Wide => {
                let shares = round.shares(self.prologue.raidas());
                self.packet = share_check::ask(&self.prologue, shares);
                self.step = Some(Step::Check);
                Ok(Next::Send)
            }
            (_, Response::Refused(reason)) => Err(AgreementError::Refused(*reason)),
            (Step::Check, Response::Checked { right, mac }) => self.receive_check(round, *right, mac, seed),
            _ => Err(AgreementError::Unexpected),
        }
    }

    fn receive_check(
        &mut self,
        round: &Round,
        right: Bitmap,
        mac: &[u8; 32],
        seed: Secret<SEED_LEN>,
    ) -> Result<Next, AgreementError> {
        let shares = round.shares(self.prologue.raidas());
        let is_proven =
            share_check::is_proven(&self.prologue, &self.packet, shares, right, mac, self.required)?;
        let unproven = AgreementError::Unproven { right: right.count() };
        let Some(prologue) = self.prologue.only(right).filter(|_| is_proven) else { return Err(unproven) };
        self.liars = self.prologue.raidas().without(right);
        self.prologue = prologue;
        self.step = Some(Step::Second(self.shake_hands(round, EphemeralKey::of_seed(seed)?)?));
        Ok(Next::Send)
    }

    fn shake_hands(&mut self, round: &Round, key: EphemeralKey) -> Result<Initiator, SecretError> {
        let bytes = self.prologue.to_bytes();
        let mut shares: Vec<_> = round.shares(self.prologue.raidas()).collect();
        shares.sort_by_key(|(raida, _)| *raida);
        let psk = psk::from_shares(shares.into_iter().map(|(_, share)| share), self.width, &bytes)?;
        let prologue = Prologue::Exchange(self.prologue.clone());
        let (initiator, packet) = Initiator::begin(&prologue, &psk, key, &self.domain)?;
        self.packet = packet;
        Ok(initiator)
    }
}
