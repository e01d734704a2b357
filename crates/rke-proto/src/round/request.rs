//! One request of a round: sealed once, sent again unchanged, and what became of it.

use std::net::SocketAddr;
use std::time::Duration;

use rke_secret::{Secret, SecretError};

use super::{Fallback, Fault, Outcome, Pace, Recipient};
use crate::challenge::{CHALLENGE_LEN, RANDOM_LEN};
use crate::command::{self, Command, SHARE_REQUEST_LEN};
use crate::cursor::DecodeError;
use crate::derive::SECRET_LEN;
use crate::envelope::{self, RequestParts, Response};
use crate::header::{LONG_HEADER_LEN, NONCE_LEN, RequestHeader, SHORT_HEADER_LEN};
use crate::{Challenge, Envelope, EnvelopeKey, KeyContext, RaidaIndex, Status};

/// One sealed request and what became of it.
pub(super) struct Request {
    pub(super) raida: RaidaIndex,
    pub(super) endpoint: SocketAddr,
    command: Command,
    pub(super) header: RequestHeader,
    pub(super) challenge: Challenge,
    pub(super) key: EnvelopeKey,
    pub(super) datagram: Vec<u8>,
    /// Zeros until it has come, and where none was asked for.
    pub(super) share: Secret<SECRET_LEN>,
    pub(super) state: State,
    pub(super) pace: Pace,
    pub(super) sent: u32,
    pub(super) next_send: Duration,
    /// From asking to the answer.
    pub(super) took: Option<Duration>,
    fallback: Option<Fallback>,
    has_fallen_back: bool,
}

pub(super) enum State {
    /// No valid answer yet; the last answer that had to be dropped, if any.
    Waiting(Option<DecodeError>),
    Answered,
    /// So it says. A good answer can still come.
    Refused(Status),
    Unreachable,
    /// So ICMP says. A good answer can still come.
    Closed,
}

impl Request {
    /// A request that is to be sealed before it is sent. It is made where no secret is: what is copied from a stack takes
    /// along what the gaps between its fields held before.
    pub(super) fn new(recipient: Recipient, command: Command, body_len: usize) -> Result<Self, SecretError> {
        let mut seed = [0; RANDOM_LEN];
        let mut random = [0; NONCE_LEN];
        seed.copy_from_slice(&recipient.random[..RANDOM_LEN]);
        random.copy_from_slice(&recipient.random[RANDOM_LEN..]);
        let challenge = Challenge::new(seed);
        let Recipient { raida, endpoint, envelope, key, pace, fallback, .. } = recipient;
        let parts = RequestParts { raida, command: command.to_wire(), envelope, random };
        let (header, datagram) = envelope::unsealed_request(&parts, body_len);
        let (share, state) = (Secret::zeros()?, State::Waiting(None));
        let (sent, next_send, took) = (0, pace.ask_after, None);
        Ok(Self {
            raida,
            endpoint,
            command,
            header,
            challenge,
            key,
            datagram,
            share,
            state,
            pace,
            sent,
            next_send,
            took,
            fallback,
            has_fallen_back: false,
        })
    }

    /// A request for a share, likewise.
    pub(super) fn for_share(recipient: Recipient, command: Command) -> Result<Self, SecretError> {
        Self::new(recipient, command, SHARE_REQUEST_LEN)
    }

    /// Seals it where it lies.
    pub(super) fn seal(&mut self, write_body: impl FnOnce(&Challenge, &mut [u8])) -> Result<(), SecretError> {
        let Self { header, challenge, key, datagram, .. } = self;
        envelope::seal_request(header, key, datagram, |body| write_body(challenge, body))
    }

    /// Seals a request for a share.
    pub(super) fn seal_for_share(&mut self, context: &KeyContext) -> Result<(), SecretError> {
        self.seal(|challenge, body| command::write_share_request(challenge, context, body))
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// Whether it is worth sending again: nothing has come back, or that nobody listened at that moment.
    pub(super) fn is_unsettled(&self) -> bool {
        matches!(self.state, State::Waiting(_) | State::Closed)
    }

    /// Whether these are the first bytes of what was sent, up to the end of its header at least, which the nonce is part of.
    pub(super) fn is_quoted(&self, quoted: &[u8]) -> bool {
        quoted.len() >= self.header.envelope.header_len() && self.datagram.starts_with(quoted)
    }

    pub(super) fn has_answered(&self) -> bool {
        matches!(self.state, State::Answered)
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        match self.state {
            State::Answered => None,
            State::Waiting(None) => Some(Fault::Silent),
            State::Waiting(Some(error)) => Some(Fault::Malformed(error)),
            State::Refused(status) => Some(Fault::Refused(status)),
            State::Unreachable => Some(Fault::Unreachable),
            State::Closed => Some(Fault::Closed),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        let result = self.fault().map_or(Ok(self.took.unwrap_or_default()), Err);
        let Self { raida, endpoint, has_fallen_back, .. } = *self;
        Outcome { raida, endpoint, result, has_fallen_back }
    }

    /// Takes in an answer, and says whether it was one: a share, or a refusal.
    pub(super) fn receive(&mut self, datagram: &mut [u8], now: Duration) -> bool {
        if matches!(self.state, State::Answered) {
            return false;
        }
        match self.open(datagram) {
            Ok(()) => {
                self.state = State::Answered;
                self.took = Some(now.saturating_sub(self.pace.ask_after));
                true
            }
            Err(Dropped::Refusal(status)) => {
                self.state = State::Refused(status);
                true
            }
            // A refusal or an unreachable network is news; a forgery after it is not.
            Err(Dropped::Malformed(error)) => {
                if self.is_unsettled() {
                    self.state = State::Waiting(Some(error));
                    if self.fallback.is_some() {
                        self.next_send = now;
                    }
                }
                false
            }
        }
    }

    /// Asks another way from here on, where an answer did not open and there is another way. Anyone may have sent that
    /// answer: the other way is as safe, and the RAIDA answers it too.
    pub(super) fn fall_back(&mut self, context: &KeyContext) {
        if !matches!(self.state, State::Waiting(Some(_))) {
            return;
        }
        let Some(Fallback { envelope, key, random }) = self.fallback.take() else { return };
        let (raida, endpoint, next_send) = (self.raida, self.endpoint, self.next_send);
        let recipient = Recipient { raida, endpoint, envelope, key, random, pace: self.pace, fallback: None };
        // Without memory for it, the first way is still open.
        if let Ok(mut other) = Self::for_share(recipient, self.command)
            && other.seal_for_share(context).is_ok()
        {
            *self = Self { next_send, has_fallen_back: true, ..other };
        }
    }

    fn open(&mut self, datagram: &mut [u8]) -> Result<(), Dropped> {
        let bare = self.bare_refusal(datagram);
        let opened = envelope::open_response(&self.header, &self.challenge, &self.key, datagram);
        let response = opened.map_err(|error| bare.map_or(Dropped::Malformed(error), Dropped::Refusal))?;
        if self.is_refusal(&response) {
            return Err(Dropped::Refusal(response.status));
        }
        if response.payload.len() != self.command.payload_len() {
            return Err(DecodeError::Mismatch("the payload length").into());
        }
        let mut share = &*response.payload;
        if self.command.returns_challenge() {
            let (challenge, rest) = share.split_at(CHALLENGE_LEN);
            if challenge != self.challenge.as_bytes() {
                return Err(DecodeError::Mismatch("the challenge in the answer").into());
            }
            share = rest;
        }
        self.share.expose_mut(|slot| slot[..share.len()].copy_from_slice(share));
        Ok(())
    }

    /// The status of a refusal by a server that has not read the request, or not whose it is: a header without a signature, of
    /// 32 bytes in every envelope and of 48 also where that is not the envelope's own. `docs/protocol.md` section 4.
    fn bare_refusal(&self, datagram: &[u8]) -> Option<Status> {
        let is_bare = match datagram.len() {
            SHORT_HEADER_LEN => true,
            LONG_HEADER_LEN => self.header.envelope.header_len() != LONG_HEADER_LEN,
            _ => false,
        };
        let [raida, _, status, ..] = *datagram else { return None };
        let status = Some(Status(status)).filter(|status| *status != Status::SUCCESS);
        status.filter(|_| is_bare && raida == self.raida.get())
    }

    /// A status is nothing that an HMAC covers. In envelopes 4 and 5 only success has a payload, which is then proof of
    /// it whatever the status says. `docs/protocol.md` section 4.
    fn is_refusal(&self, response: &Response<'_>) -> bool {
        let proven = match self.header.envelope {
            Envelope::Type0 | Envelope::Type1(_) => false,
            Envelope::Type4(_) | Envelope::Type5(..) => !response.payload.is_empty(),
        };
        !proven && response.status != Status::SUCCESS
    }
}

/// Why an answer gave no share.
enum Dropped {
    Malformed(DecodeError),
    Refusal(Status),
}

impl From<DecodeError> for Dropped {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}
