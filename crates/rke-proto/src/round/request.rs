//! One request of a round: sealed once, resent unchanged, and its outcome.

use std::net::SocketAddr;
use std::time::Duration;

use rke_secret::{Secret, SecretError};

use super::packet::Packet;
use super::probes::{ProbeResult, Probes};
use super::sending::Sending;
use super::{Fallback, Fault, Outcome, Pace, REQUEST_RANDOM_LEN, Recipient, Way};
use crate::challenge::CHALLENGE_LEN;
use crate::command::{Command, SHARE_REQUEST_LEN};
use crate::cursor::DecodeError;
use crate::derive::SECRET_LEN;
use crate::envelope::{self, Response};
use crate::header::{LONG_HEADER_LEN, SHORT_HEADER_LEN};
use crate::{Challenge, Envelope, EnvelopeKey, KeyContext, RaidaIndex, Status};

/// One sealed request and its outcome.
pub(super) struct Request {
    pub(super) raida: RaidaIndex,
    pub(super) endpoint: SocketAddr,
    command: Command,
    pub(super) packet: Packet,
    pub(super) key: EnvelopeKey,
    /// Zeros until it has arrived, and for requests without one.
    pub(super) share: Secret<SECRET_LEN>,
    pub(super) state: State,
    pace: Pace,
    pub(super) sending: Sending,
    /// From the first send to the response.
    took: Option<Duration>,
    fallback: Option<OtherEnvelope>,
    /// Probes for the same share in envelope 1, if that is allowed.
    probes: Option<Probes>,
    way: Way,
}

/// The error for responses in envelope 1 that agree in neither form.
const CONTRADICTION: DecodeError = DecodeError::Mismatch("the share in a second response");

/// The other envelope of a request.
struct OtherEnvelope {
    envelope: Envelope,
    key: EnvelopeKey,
    random: [u8; REQUEST_RANDOM_LEN],
}

pub(super) enum State {
    /// No valid response yet.
    Waiting(Option<Dismissed>),
    Answered,
    /// Not authenticated. A valid response can still come.
    Refused(Status),
    Unreachable,
    /// According to ICMP, which is not authenticated. A valid response can still come.
    Closed,
}

/// The last input from a RAIDA whose response is still missing.
#[derive(Clone, Copy)]
pub(super) enum Dismissed {
    /// A response that had to be dropped.
    Malformed(DecodeError),
    /// A refusal, but envelope 1 is still open.
    Refusal(Status),
}

impl Request {
    /// A request that has to be sealed before it is sent. Call this outside any scope of secrets.
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
            probes: None,
            way: Way::First,
        };
        match fallback {
            None => (),
            Some(Fallback::Envelope4 { envelope, key, random }) => {
                request.fallback = Some(OtherEnvelope { envelope, key, random });
            }
            Some(Fallback::Envelope1 { envelope, key, random, is_usual }) => {
                let to = (raida, command);
                request.probes = Some(Probes::new(to, (envelope, key), &random, (pace, is_usual))?);
            }
        }
        Ok(request)
    }

    /// As [`Request::new`], for a share.
    pub(super) fn for_share(recipient: Recipient, command: Command) -> Result<Self, SecretError> {
        Self::new(recipient, command, SHARE_REQUEST_LEN)
    }

    /// Seals it in place.
    pub(super) fn seal(&mut self, write_body: impl FnOnce(&Challenge, &mut [u8])) -> Result<(), SecretError> {
        self.packet.seal(&self.key, write_body)
    }

    /// Seals a request for a share, in all envelopes.
    pub(super) fn seal_for_share(&mut self, context: &KeyContext) -> Result<(), SecretError> {
        self.packet.seal_for_share(&self.key, context)?;
        self.probes.as_mut().map_or(Ok(()), |probes| probes.seal(context))
    }

    /// The datagrams that are due at `now`. `context` is that of a request for a share.
    pub(super) fn take_due<'a>(
        &'a mut self,
        now: Duration,
        longest: Duration,
        context: Option<&KeyContext>,
    ) -> impl Iterator<Item = (RaidaIndex, SocketAddr, &'a [u8])> + use<'a> {
        if let Some(context) = context {
            self.fall_back(context);
        }
        let (raida, endpoint, is_pending) = (self.raida, self.endpoint, self.is_pending());
        let is_due = is_pending && self.sending.take_due(now, longest);
        let own = is_due.then_some(self.packet.datagram.as_slice());
        let probes = self.probes.as_mut().filter(|_| is_pending);
        let probes = probes.into_iter().flat_map(move |probes| probes.take_due(now, longest));
        own.into_iter().chain(probes).map(move |datagram| (raida, endpoint, datagram))
    }

    /// When the next datagram is due.
    pub(super) fn next_send(&self) -> Option<Duration> {
        let probes = self.probes.as_ref().and_then(Probes::next_send);
        let next = probes.map_or(self.sending.next, |next| next.min(self.sending.next));
        self.is_pending().then_some(next)
    }

    pub(super) fn was_sent(&self) -> bool {
        self.sending.sent > 0
    }

    /// The envelope of the request that got the share, or of the first.
    pub(super) fn envelope(&self) -> Envelope {
        match (&self.way, &self.probes) {
            (Way::Envelope1(_), Some(probes)) => probes.envelope(),
            _ => self.packet.header.envelope,
        }
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    /// Whether it is worth resending: no response has arrived, or the port was closed.
    pub(super) fn is_pending(&self) -> bool {
        matches!(self.state, State::Waiting(_) | State::Closed)
    }

    /// Whether these are the first bytes of what was sent.
    pub(super) fn matches_quote(&self, quoted: &[u8]) -> bool {
        let probes = self.probes.as_ref();
        self.packet.matches_quote(quoted) || probes.is_some_and(|probes| probes.matches_quote(quoted))
    }

    pub(super) fn has_answered(&self) -> bool {
        matches!(self.state, State::Answered)
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        match self.state {
            State::Answered => None,
            State::Waiting(None) => Some(Fault::Silent),
            State::Waiting(Some(Dismissed::Malformed(error))) => Some(Fault::Malformed(error)),
            State::Waiting(Some(Dismissed::Refusal(status))) | State::Refused(status) => {
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

    /// Processes a datagram, and returns whether it was a response: a share, or a refusal.
    pub(super) fn receive(&mut self, datagram: &mut [u8], now: Duration) -> bool {
        if matches!(self.state, State::Answered) {
            // The RAIDA knows envelope 4 after all, so from now on only that is used.
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
                self.complete(State::Answered, now.saturating_sub(self.pace.ask_after));
                true
            }
            Err(Dropped::Refusal(status)) => self.refuse(status, datagram.len()),
            // A malformed response does not replace a refusal or an unreachable network.
            Err(Dropped::Malformed(error)) => {
                if self.is_pending() {
                    self.state = State::Waiting(Some(Dismissed::Malformed(error)));
                    if self.fallback.is_some() {
                        self.sending.send_now(now);
                    }
                }
                false
            }
        }
    }

    /// As [`Request::receive`], for a response to one of the probes in envelope 1. `None` if it is not one.
    fn receive_in_envelope_1(&mut self, datagram: &[u8], now: Duration) -> Option<bool> {
        let probes = self.probes.as_mut()?;
        let asked_for = now.saturating_sub(probes.first_send());
        match probes.receive(datagram, now, &mut self.share) {
            ProbeResult::Unrelated => return None,
            ProbeResult::Ambiguous => return Some(false),
            ProbeResult::Share(counter) => {
                self.way = Way::Envelope1(counter);
                self.complete(State::Answered, asked_for);
            }
            ProbeResult::Refusal(status) => self.state = State::Refused(status),
            ProbeResult::Contradiction => {
                if self.is_pending() {
                    self.state = State::Waiting(Some(Dismissed::Malformed(CONTRADICTION)));
                }
                return Some(false);
            }
        }
        Some(true)
    }

    fn complete(&mut self, state: State, took: Duration) {
        (self.state, self.took) = (state, Some(took));
    }

    /// Processes a refusal of the first request, and returns whether it is final. While envelope 1 is open it is not,
    /// unless the RAIDA has shown that it knows envelope 4: then it refuses the request in every envelope.
    fn refuse(&mut self, status: Status, len: usize) -> bool {
        let knows_envelope = len != SHORT_HEADER_LEN && !status.refuses_envelope();
        let can_go_on = self.probes.as_ref().is_some_and(Probes::is_open) && !knows_envelope;
        self.state = match can_go_on {
            true => State::Waiting(Some(Dismissed::Refusal(status))),
            false => State::Refused(status),
        };
        !can_go_on
    }

    /// Switches to the fallback envelope, if a response did not open and the request has one. Anyone may have sent that
    /// response, but the fallback is as safe, and the RAIDA responds to it too.
    fn fall_back(&mut self, context: &KeyContext) {
        if !matches!(self.state, State::Waiting(Some(Dismissed::Malformed(_)))) {
            return;
        }
        let Some(OtherEnvelope { envelope, key, random }) = self.fallback.take() else { return };
        let mut packet = Packet::for_share((self.raida, self.command), envelope, &random);
        // Without memory for it, the first envelope stays in use.
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
                return Err(DecodeError::Mismatch("the challenge in the response").into());
            }
            share = rest;
        }
        self.share.expose_mut(|slot| slot[..share.len()].copy_from_slice(share));
        Ok(())
    }

    /// The status of a refusal by a server that has not read the request, or could not authenticate it: a header without a
    /// signature, of 32 bytes in every envelope, or of 48 in an envelope with another length. `docs/protocol.md` section 4.
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

    /// No HMAC covers the status. In envelopes 4 and 5 only success has a payload, which proves it whatever the status
    /// says. `docs/protocol.md` section 4.
    fn is_refusal(&self, response: &Response<'_>) -> bool {
        let proven = match self.packet.header.envelope {
            Envelope::Type0 | Envelope::Type1(_) => false,
            Envelope::Type4(_) | Envelope::Type5(..) => !response.payload.is_empty(),
        };
        !proven && response.status != Status::SUCCESS
    }
}

/// Why a response gave no share.
enum Dropped {
    Malformed(DecodeError),
    Refusal(Status),
}

impl From<DecodeError> for Dropped {
    fn from(error: DecodeError) -> Self {
        Self::Malformed(error)
    }
}
