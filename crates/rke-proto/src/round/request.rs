//! One request of a round: sealed once, sent again unchanged, and what became of it.

use std::net::SocketAddr;
use std::time::Duration;

use rke_secret::{Secret, SecretError};

use super::packet::Packet;
use super::questions::{Questions, Said};
use super::sending::Sending;
use super::{Fallback, Fault, Outcome, Pace, REQUEST_RANDOM_LEN, Recipient, Way};
use crate::challenge::CHALLENGE_LEN;
use crate::command::{Command, SHARE_REQUEST_LEN};
use crate::cursor::DecodeError;
use crate::derive::SECRET_LEN;
use crate::envelope::{self, Response};
use crate::header::{LONG_HEADER_LEN, SHORT_HEADER_LEN};
use crate::{Challenge, Envelope, EnvelopeKey, KeyContext, RaidaIndex, Status};

/// One sealed request and what became of it.
pub(super) struct Request {
    pub(super) raida: RaidaIndex,
    pub(super) endpoint: SocketAddr,
    command: Command,
    pub(super) packet: Packet,
    pub(super) key: EnvelopeKey,
    /// Zeros until it has come, and where none was asked for.
    pub(super) share: Secret<SECRET_LEN>,
    pub(super) state: State,
    pace: Pace,
    pub(super) sending: Sending,
    /// From asking to the answer.
    took: Option<Duration>,
    fallback: Option<OtherEnvelope>,
    /// The same share in envelope 1, where that is allowed.
    questions: Option<Questions>,
    way: Way,
}

/// What is wrong with answers in envelope 1 that fit neither form.
const CONTRADICTION: DecodeError = DecodeError::Mismatch("the share in a second answer");

/// What a request is sealed again with.
struct OtherEnvelope {
    envelope: Envelope,
    key: EnvelopeKey,
    random: [u8; REQUEST_RANDOM_LEN],
}

pub(super) enum State {
    /// No valid answer yet.
    Waiting(Option<Heard>),
    Answered,
    /// So it says. A good answer can still come.
    Refused(Status),
    Unreachable,
    /// So ICMP says. A good answer can still come.
    Closed,
}

/// What has come from a RAIDA whose answer is waited for.
#[derive(Clone, Copy)]
pub(super) enum Heard {
    /// The last of the answers that had to be dropped.
    Malformed(DecodeError),
    /// It refuses, but can be asked in envelope 1.
    Refusal(Status),
}

impl Request {
    /// A request that is to be sealed before it is sent. It is made where no secret is.
    pub(super) fn new(recipient: Recipient, command: Command, body_len: usize) -> Result<Self, SecretError> {
        let Recipient { raida, endpoint, envelope, key, random, pace, fallback } = recipient;
        let mut request = Self {
            raida,
            endpoint,
            command,
            packet: Packet::new((raida, command.to_wire()), envelope, &random, body_len),
            key,
            share: Secret::zeros()?,
            state: State::Waiting(None),
            pace,
            sending: Sending::new(pace, pace.ask_after),
            took: None,
            fallback: None,
            questions: None,
            way: Way::First,
        };
        match fallback {
            None => (),
            Some(Fallback::Envelope4 { envelope, key, random }) => {
                request.fallback = Some(OtherEnvelope { envelope, key, random });
            }
            Some(Fallback::Envelope1 { envelope, key, random, is_usual }) => {
                let to = (raida, command);
                request.questions = Some(Questions::new(to, (envelope, key), &random, (pace, is_usual))?);
            }
        }
        Ok(request)
    }

    /// A request for a share, likewise.
    pub(super) fn for_share(recipient: Recipient, command: Command) -> Result<Self, SecretError> {
        Self::new(recipient, command, SHARE_REQUEST_LEN)
    }

    /// Seals it where it lies.
    pub(super) fn seal(&mut self, write_body: impl FnOnce(&Challenge, &mut [u8])) -> Result<(), SecretError> {
        self.packet.seal(&self.key, write_body)
    }

    /// Seals a request for a share, in all envelopes.
    pub(super) fn seal_for_share(&mut self, context: &KeyContext) -> Result<(), SecretError> {
        self.packet.seal_for_share(&self.key, context)?;
        self.questions.as_mut().map_or(Ok(()), |questions| questions.seal(context))
    }

    /// What has to be sent at `now`. `context` is what a share is asked for.
    pub(super) fn take_due<'a>(
        &'a mut self,
        now: Duration,
        longest: Duration,
        context: Option<&KeyContext>,
    ) -> impl Iterator<Item = (RaidaIndex, SocketAddr, &'a [u8])> + use<'a> {
        if let Some(context) = context {
            self.fall_back(context);
        }
        let (raida, endpoint, is_unsettled) = (self.raida, self.endpoint, self.is_unsettled());
        let is_due = is_unsettled && self.sending.take_due(now, longest);
        let own = is_due.then_some(self.packet.datagram.as_slice());
        let questions = self.questions.as_mut().filter(|_| is_unsettled);
        let questions = questions.into_iter().flat_map(move |questions| questions.take_due(now, longest));
        own.into_iter().chain(questions).map(move |datagram| (raida, endpoint, datagram))
    }

    /// When something is to be sent, if nothing comes before.
    pub(super) fn next_send(&self) -> Option<Duration> {
        let questions = self.questions.as_ref().and_then(Questions::next_send);
        let next = questions.map_or(self.sending.next, |next| next.min(self.sending.next));
        self.is_unsettled().then_some(next)
    }

    pub(super) fn was_asked(&self) -> bool {
        self.sending.sent > 0
    }

    /// The envelope of the request that was answered, or of the first.
    pub(super) fn envelope(&self) -> Envelope {
        match (&self.way, &self.questions) {
            (Way::Envelope1(_), Some(questions)) => questions.envelope(),
            _ => self.packet.header.envelope,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// Whether it is worth sending again: nothing has come back, or that nobody listened at that moment.
    pub(super) fn is_unsettled(&self) -> bool {
        matches!(self.state, State::Waiting(_) | State::Closed)
    }

    /// Whether these are the first bytes of what was sent.
    pub(super) fn is_quoted(&self, quoted: &[u8]) -> bool {
        let questions = self.questions.as_ref();
        self.packet.is_quoted(quoted) || questions.is_some_and(|questions| questions.is_quoted(quoted))
    }

    pub(super) fn has_answered(&self) -> bool {
        matches!(self.state, State::Answered)
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        match self.state {
            State::Answered => None,
            State::Waiting(None) => Some(Fault::Silent),
            State::Waiting(Some(Heard::Malformed(error))) => Some(Fault::Malformed(error)),
            State::Waiting(Some(Heard::Refusal(status))) | State::Refused(status) => {
                Some(Fault::Refused(status))
            }
            State::Unreachable => Some(Fault::Unreachable),
            State::Closed => Some(Fault::Closed),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        let result = self.fault().map_or(Ok(self.took.unwrap_or_default()), Err);
        let Self { raida, endpoint, way, .. } = *self;
        Outcome { raida, endpoint, result, way }
    }

    /// Takes in an answer, and says whether it was one: a share, or a refusal.
    pub(super) fn receive(&mut self, datagram: &mut [u8], now: Duration) -> bool {
        if matches!(self.state, State::Answered) {
            // Who knows envelope 4 after all is asked in it alone from now on.
            if matches!(self.way, Way::Envelope1(_)) && self.open(datagram).is_ok() {
                self.way = Way::First;
            }
            return false;
        }
        if let Some(settled) = self.receive_in_envelope_1(datagram, now) {
            return settled;
        }
        match self.open(datagram) {
            Ok(()) => {
                self.settle(State::Answered, now.saturating_sub(self.pace.ask_after));
                true
            }
            Err(Dropped::Refusal(status)) => self.refuse(status, datagram.len()),
            // A refusal or an unreachable network is news; a forgery after it is not.
            Err(Dropped::Malformed(error)) => {
                if self.is_unsettled() {
                    self.state = State::Waiting(Some(Heard::Malformed(error)));
                    if self.fallback.is_some() {
                        self.sending.at_once(now);
                    }
                }
                false
            }
        }
    }

    /// The same for an answer to one of the questions in envelope 1. `None` where it is none.
    fn receive_in_envelope_1(&mut self, datagram: &[u8], now: Duration) -> Option<bool> {
        let questions = self.questions.as_mut()?;
        let asked_for = now.saturating_sub(questions.began());
        match questions.receive(datagram, now, &mut self.share) {
            Said::Nothing => return None,
            Said::Unclear => return Some(false),
            Said::Share(counter) => {
                self.way = Way::Envelope1(counter);
                self.settle(State::Answered, asked_for);
            }
            Said::Refusal(status) => self.state = State::Refused(status),
            Said::Contradiction => {
                if self.is_unsettled() {
                    self.state = State::Waiting(Some(Heard::Malformed(CONTRADICTION)));
                }
                return Some(false);
            }
        }
        Some(true)
    }

    fn settle(&mut self, state: State, took: Duration) {
        (self.state, self.took) = (state, Some(took));
    }

    /// Takes in a refusal of the first request, and says whether that is all. Where envelope 1 is still open it is not,
    /// unless the RAIDA has shown that it knows envelope 4: then it has the request, and refuses it whatever the envelope.
    fn refuse(&mut self, status: Status, len: usize) -> bool {
        let knows_envelope = len != SHORT_HEADER_LEN && !status.refuses_envelope();
        let can_go_on = self.questions.as_ref().is_some_and(Questions::is_open) && !knows_envelope;
        self.state = match can_go_on {
            true => State::Waiting(Some(Heard::Refusal(status))),
            false => State::Refused(status),
        };
        !can_go_on
    }

    /// Asks another way from here on, where an answer did not open and there is another way. Anyone may have sent that
    /// answer: the other way is as safe, and the RAIDA answers it too.
    fn fall_back(&mut self, context: &KeyContext) {
        if !matches!(self.state, State::Waiting(Some(Heard::Malformed(_)))) {
            return;
        }
        let Some(OtherEnvelope { envelope, key, random }) = self.fallback.take() else { return };
        let mut packet = Packet::for_share((self.raida, self.command), envelope, &random);
        // Without memory for it, the first way is still open.
        if packet.seal_for_share(&key, context).is_ok() {
            (self.packet, self.key) = (packet, key);
            self.state = State::Waiting(None);
            self.sending = Sending::new(self.pace, self.sending.next);
            self.way = Way::Envelope4;
        }
    }

    fn open(&mut self, datagram: &mut [u8]) -> Result<(), Dropped> {
        let bare = self.bare_refusal(datagram);
        let opened =
            envelope::open_response(&self.packet.header, &self.packet.challenge, &self.key, datagram);
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
            if challenge != self.packet.challenge.as_bytes() {
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
            LONG_HEADER_LEN => self.packet.header.envelope.header_len() != LONG_HEADER_LEN,
            _ => false,
        };
        let [raida, _, status, ..] = *datagram else { return None };
        let status = Some(Status(status)).filter(|status| *status != Status::SUCCESS);
        status.filter(|_| is_bare && raida == self.raida.get())
    }

    /// A status is nothing that an HMAC covers. In envelopes 4 and 5 only success has a payload, which is then proof of
    /// it whatever the status says. `docs/protocol.md` section 4.
    fn is_refusal(&self, response: &Response<'_>) -> bool {
        let proven = match self.packet.header.envelope {
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
