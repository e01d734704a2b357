//! The client's way from collected shares to a session's key, as a value: handshake, share check where the server has
//! other shares, handshake again with those that are right. `docs/protocol.md` section 7. It says what to send and is
//! hears what came back.

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
    /// The server said no. Not authenticated.
    #[error("the Content Server refused: {0}")]
    Refused(Reason),
    /// What answered is not the Content Server, or not as it must be.
    #[error("what answered is not the Content Server: {0}")]
    NotTheServer(#[from] HandshakeError),
    /// Its response is to another request.
    #[error("what answered is not the Content Server: its response does not fit the request")]
    Unexpected,
    /// The share check proves nothing: nobody is called a liar.
    #[error("the Content Server could not show which shares are right")]
    Unproven {
        /// How many tags match, it says.
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
    /// What the handshake gave. Its transport is for the end records with which the handshake is confirmed.
    pub accepted: Accepted,
    /// The RAIDAs whose shares were used.
    pub raidas: Bitmap,
    /// Those whose shares were proven wrong.
    pub liars: Bitmap,
    /// What was agreed on: it names the coins.
    pub prologue: ExchangePrologue,
}

enum Step {
    /// The first handshake is on its way.
    First(Initiator),
    /// The share check is on its way.
    Check,
    /// The handshake with the right shares is on its way.
    Second(Initiator),
}

/// A key on its way.
pub struct Agreement {
    prologue: ExchangePrologue,
    width: ShareWidth,
    required: usize,
    domain: String,
    liars: Bitmap,
    /// `None` while a response is taken in, and after an error.
    step: Option<Step>,
    packet: Vec<u8>,
}

impl Agreement {
    /// Begins with those shares that a round has collected for `context` from the RAIDAs of a set. `None` where they are
    /// fewer than `required`, or the round collects none.
    ///
    /// # Errors
    /// [`SecretError`] when there is no secret memory left.
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

    /// What is to be sent now. A handshake's first packet is accepted only once: where it may have arrived and the response
    /// is lost, begin again.
    pub fn packet(&self) -> &[u8] {
        &self.packet
    }

    /// Takes in the response to what was sent. `seed` is for a handshake that may follow.
    ///
    /// # Errors
    /// [`AgreementError`]; there will be no key.
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
