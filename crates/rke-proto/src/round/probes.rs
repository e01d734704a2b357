//! Probes in envelope 1, if the operator allows it. Its responses have two forms, and nothing in them says which: a round asks
//! for the same share several times, until only one form remains in which all responses agree. `docs/protocol.md` section
//! 4.1.

use std::time::Duration;

use rke_secret::{Secret, SecretError};
use subtle::ConstantTimeEq;

use super::REQUEST_RANDOM_LEN;
use super::pace::Pace;
use super::packet::Packet;
use super::sending::Sending;
use crate::command::Command;
use crate::derive::SECRET_LEN;
use crate::envelope::{self, Counter};
use crate::header::{LONG_HEADER_LEN, SHORT_HEADER_LEN, TRAILER};
use crate::{Envelope, EnvelopeKey, KeyContext, RaidaIndex, Status};

/// The fewest responses that distinguish the forms.
const MIN_RESPONSES: usize = 3;

/// The most probes to one RAIDA in a round. In the wrong form that many responses agree once in 2^40 times.
pub const MAX_PROBES: usize = 6;

/// How long a RAIDA has to respond in envelope 4 before it is probed; less if it usually responds quickly.
const ENVELOPE_4_TIMEOUT: Duration = Duration::from_millis(600);

/// Length of a response with a share.
const SHARE_RESPONSE_LEN: usize = SHORT_HEADER_LEN + 1 + TRAILER.len();

/// The probes for one share.
pub(super) struct Probes {
    envelope: Envelope,
    key: EnvelopeKey,
    probes: Vec<Probe>,
    /// How many of them are sent, from the first on.
    sent: usize,
    responses: usize,
    /// The share in the first response, in either form.
    share: Secret<SECRET_LEN>,
    /// For each form, whether all other responses agree with the first.
    agree: [bool; Counter::BOTH.len()],
    /// Further probes cannot succeed.
    has_failed: bool,
    first_send: Duration,
    sending: Sending,
    #[cfg(feature = "fault-injection")]
    known_answer: Option<Packet>,
}

struct Probe {
    packet: Packet,
    is_answered: bool,
}

/// What a datagram means for the probes.
pub(super) enum ProbeResult {
    /// It is not a response to one of them.
    Unrelated,
    /// A share, but both forms are still possible.
    Ambiguous,
    /// The share is known: the responses have this form.
    Share(Counter),
    Refusal(Status),
    /// The responses agree in neither form.
    Contradiction,
}

impl Probes {
    /// Probes that have to be sealed before they are sent; `random` has an entry for each.
    pub(super) fn new(
        to: (RaidaIndex, Command),
        (envelope, key): (Envelope, EnvelopeKey),
        random: &[[u8; REQUEST_RANDOM_LEN]],
        (pace, is_usual): (Pace, bool),
    ) -> Result<Self, SecretError> {
        let probe = |random| Probe { packet: Packet::for_share(to, envelope, random), is_answered: false };
        let probes: Vec<Probe> = random.iter().take(MAX_PROBES).map(probe).collect();
        // A datagram in envelope 4, the one after it, and time for a response.
        let envelope_4_timeout =
            if is_usual { Duration::ZERO } else { ENVELOPE_4_TIMEOUT.min(pace.first_resend * 3) };
        let first_send = pace.ask_after + envelope_4_timeout;
        Ok(Self {
            envelope,
            sent: MIN_RESPONSES.min(probes.len()),
            probes,
            key,
            responses: 0,
            share: Secret::zeros()?,
            agree: [true; Counter::BOTH.len()],
            has_failed: false,
            first_send,
            sending: Sending::new(pace, first_send),
            #[cfg(feature = "fault-injection")]
            known_answer: ask_for_version(to.0, envelope, random),
        })
    }

    /// Seals them in place.
    pub(super) fn seal(&mut self, context: &KeyContext) -> Result<(), SecretError> {
        let Self { probes, key, .. } = self;
        #[cfg(feature = "fault-injection")]
        if let Some(packet) = &mut self.known_answer {
            packet.seal(key, |challenge, body| body.copy_from_slice(challenge.as_bytes()))?;
        }
        probes.iter_mut().try_for_each(|probe| probe.packet.seal_for_share(key, context))
    }

    pub(super) fn envelope(&self) -> Envelope {
        self.envelope
    }

    /// Whether these are the first bytes of one that was sent.
    pub(super) fn matches_quote(&self, quoted: &[u8]) -> bool {
        self.probes[..self.sent].iter().any(|probe| probe.packet.matches_quote(quoted))
    }

    /// When they are first sent.
    pub(super) fn first_send(&self) -> Duration {
        self.first_send
    }

    pub(super) fn is_open(&self) -> bool {
        !self.has_failed
    }

    /// When the next datagram is due.
    pub(super) fn next_send(&self) -> Option<Duration> {
        self.is_open().then_some(self.sending.next)
    }

    /// The datagrams that are due at `now`.
    pub(super) fn take_due(&mut self, now: Duration, longest: Duration) -> impl Iterator<Item = &[u8]> {
        let is_due = self.is_open() && self.sending.take_due(now, longest);
        let asked = self.probes[..self.sent].iter().filter(move |probe| is_due && !probe.is_answered);
        let asked = asked.map(|probe| probe.packet.datagram.as_slice());
        #[cfg(feature = "fault-injection")]
        let asked = asked
            .chain(self.known_answer.iter().filter(move |_| is_due).map(|packet| packet.datagram.as_slice()));
        asked
    }

    /// Processes a datagram. Copies the share to `share` once it is known.
    pub(super) fn receive(
        &mut self,
        datagram: &[u8],
        now: Duration,
        share: &mut Secret<SECRET_LEN>,
    ) -> ProbeResult {
        let open = self.probes[..self.sent].iter_mut().filter(|probe| !probe.is_answered);
        for probe in open {
            match probe.read(&self.key, datagram) {
                None => (),
                Some(Err(status)) => {
                    self.has_failed = true;
                    return ProbeResult::Refusal(status);
                }
                Some(Ok(read)) => {
                    probe.is_answered = true;
                    self.compare(&read);
                    return self.evaluate(now, share);
                }
            }
        }
        ProbeResult::Unrelated
    }

    /// Compares a response with the first one, in either form.
    fn compare(&mut self, read: &[u8; Counter::BOTH.len()]) {
        self.responses += 1;
        if self.responses == 1 {
            return self.share.expose_mut(|first| first[..read.len()].copy_from_slice(read));
        }
        self.share.expose(|first| {
            for ((agree, first), read) in self.agree.iter_mut().zip(first).zip(read) {
                *agree &= bool::from(first.ct_eq(read));
            }
        });
    }

    /// The result of the responses so far.
    fn evaluate(&mut self, now: Duration, share: &mut Secret<SECRET_LEN>) -> ProbeResult {
        let is_enough = self.responses >= MIN_RESPONSES;
        let form = match self.agree {
            [false, false] => {
                self.has_failed = true;
                return ProbeResult::Contradiction;
            }
            [true, false] if is_enough => 0,
            [false, true] if is_enough => 1,
            _ => {
                // The RAIDA responds, so the probes are worth resending.
                self.sending.keep_resending(now);
                if self.responses == self.sent && self.sent < self.probes.len() {
                    self.sent += 1;
                    self.sending.send_now(now);
                }
                return ProbeResult::Ambiguous;
            }
        };
        self.share.expose(|first| share.expose_mut(|share| share[0] = first[form]));
        ProbeResult::Share(Counter::BOTH[form])
    }
}

impl Probe {
    /// The content of a datagram, if it is a response to this probe: a share in either form, or a refusal. It is read on
    /// the scratch stack that it has arrived on.
    fn read(&self, key: &EnvelopeKey, datagram: &[u8]) -> Option<Result<[u8; Counter::BOTH.len()], Status>> {
        let Packet { header, challenge, .. } = &self.packet;
        if let Some(status) = self.refusal(datagram) {
            return Some(Err(status));
        }
        let datagram: &[u8; SHARE_RESPONSE_LEN] = datagram.try_into().ok()?;
        let mut read = [0; Counter::BOTH.len()];
        for (counter, byte) in Counter::BOTH.into_iter().zip(&mut read) {
            let mut copy = *datagram;
            let opened = envelope::open_response_in(counter, header, challenge, key, &mut copy);
            let response = opened.ok()?;
            if response.status != Status::SUCCESS {
                return Some(Err(response.status));
            }
            *byte = *response.payload.first()?;
        }
        Some(Ok(read))
    }

    /// The status of a refusal, in either length of a header, and signed or not.
    fn refusal(&self, datagram: &[u8]) -> Option<Status> {
        let echo = match datagram.len() {
            SHORT_HEADER_LEN => &datagram[6..8],
            LONG_HEADER_LEN => &datagram[46..48],
            _ => return None,
        };
        let is_own = datagram[0] == self.packet.header.raida && echo == self.packet.header.echo();
        Some(Status(datagram[2])).filter(|status| is_own && *status != Status::SUCCESS)
    }
}

/// What a client must not do: send a request whose response is known, from which a listener derives the AN.
#[cfg(feature = "fault-injection")]
fn ask_for_version(
    raida: RaidaIndex,
    envelope: Envelope,
    random: &[[u8; REQUEST_RANDOM_LEN]],
) -> Option<Packet> {
    use rke_secret::fault_injection::{Fault, is_injected};

    let random = random.last().filter(|_| is_injected(Fault::KnownAnswers))?;
    Some(Packet::new((raida, Command::Version.to_wire()), envelope, random, crate::challenge::CHALLENGE_LEN))
}
