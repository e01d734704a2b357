//! Envelope 1, where the operator allows it. Its answers have two forms, and nothing in them says which: the same share is
//! asked for several times, until one form is left in which all answers say the same. `docs/protocol.md` section 4.1.

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

/// The fewest answers that tell the forms apart.
const FEWEST_ANSWERS: usize = 3;

/// The most questions that one RAIDA is asked in a round. In the wrong form so many answers say the same once in 2^40 times.
pub const MOST_QUESTIONS: usize = 6;

/// A RAIDA has been asked in envelope 4 in vain when this time is over, or earlier where it usually answers quickly.
const PATIENCE: Duration = Duration::from_millis(600);

/// Length of an answer with a share.
const ANSWER_LEN: usize = SHORT_HEADER_LEN + 1 + TRAILER.len();

/// One share, asked for in envelope 1.
pub(super) struct Questions {
    envelope: Envelope,
    key: EnvelopeKey,
    questions: Vec<Question>,
    /// How many of them are asked, from the first on.
    asked: usize,
    answered: usize,
    /// What the first answer says, in either form.
    share: Secret<SECRET_LEN>,
    /// Whether all others say the same, in either form.
    agree: [bool; Counter::BOTH.len()],
    /// It is of no use to ask on.
    is_over: bool,
    began: Duration,
    sending: Sending,
    #[cfg(feature = "controls")]
    known_answer: Option<Packet>,
}

struct Question {
    packet: Packet,
    is_answered: bool,
}

/// What a datagram says to the questions.
pub(super) enum Said {
    /// Nothing: it is no answer to one of them.
    Nothing,
    /// A share, and it is not clear yet which.
    Unclear,
    /// The share is clear: its answers have this form.
    Share(Counter),
    /// No.
    Refusal(Status),
    /// Something else each time, in either form.
    Contradiction,
}

impl Questions {
    /// Questions that are to be sealed before they are sent; `random` has as many entries as there may be.
    pub(super) fn new(
        to: (RaidaIndex, Command),
        (envelope, key): (Envelope, EnvelopeKey),
        random: &[[u8; REQUEST_RANDOM_LEN]],
        (pace, is_usual): (Pace, bool),
    ) -> Result<Self, SecretError> {
        let question =
            |random| Question { packet: Packet::for_share(to, envelope, random), is_answered: false };
        let questions: Vec<Question> = random.iter().take(MOST_QUESTIONS).map(question).collect();
        // A datagram in envelope 4, the one after it, and time for an answer.
        let patience = if is_usual { Duration::ZERO } else { PATIENCE.min(pace.first_resend * 3) };
        let began = pace.ask_after + patience;
        Ok(Self {
            envelope,
            asked: FEWEST_ANSWERS.min(questions.len()),
            questions,
            key,
            answered: 0,
            share: Secret::zeros()?,
            agree: [true; Counter::BOTH.len()],
            is_over: false,
            began,
            sending: Sending::new(pace, began),
            #[cfg(feature = "controls")]
            known_answer: ask_for_version(to.0, envelope, random),
        })
    }

    /// Seals them where they lie.
    pub(super) fn seal(&mut self, context: &KeyContext) -> Result<(), SecretError> {
        let Self { questions, key, .. } = self;
        #[cfg(feature = "controls")]
        if let Some(packet) = &mut self.known_answer {
            packet.seal(key, |challenge, body| body.copy_from_slice(challenge.as_bytes()))?;
        }
        questions.iter_mut().try_for_each(|question| question.packet.seal_for_share(key, context))
    }

    pub(super) fn envelope(&self) -> Envelope {
        self.envelope
    }

    /// Whether these are the first bytes of one that is asked.
    pub(super) fn is_quoted(&self, quoted: &[u8]) -> bool {
        self.questions[..self.asked].iter().any(|question| question.packet.is_quoted(quoted))
    }

    /// When they are asked for the first time.
    pub(super) fn began(&self) -> Duration {
        self.began
    }

    pub(super) fn is_open(&self) -> bool {
        !self.is_over
    }

    /// When something is to be sent, if nothing comes before.
    pub(super) fn next_send(&self) -> Option<Duration> {
        self.is_open().then_some(self.sending.next)
    }

    /// What has to be sent at `now`.
    pub(super) fn take_due(&mut self, now: Duration, longest: Duration) -> impl Iterator<Item = &[u8]> {
        let is_due = self.is_open() && self.sending.take_due(now, longest);
        let asked =
            self.questions[..self.asked].iter().filter(move |question| is_due && !question.is_answered);
        let asked = asked.map(|question| question.packet.datagram.as_slice());
        #[cfg(feature = "controls")]
        let asked = asked
            .chain(self.known_answer.iter().filter(move |_| is_due).map(|packet| packet.datagram.as_slice()));
        asked
    }

    /// Takes in a datagram. The share is copied to `share` when it is clear.
    pub(super) fn receive(&mut self, datagram: &[u8], now: Duration, share: &mut Secret<SECRET_LEN>) -> Said {
        let open = self.questions[..self.asked].iter_mut().filter(|question| !question.is_answered);
        for question in open {
            match question.read(&self.key, datagram) {
                None => (),
                Some(Err(status)) => {
                    self.is_over = true;
                    return Said::Refusal(status);
                }
                Some(Ok(read)) => {
                    question.is_answered = true;
                    self.compare(&read);
                    return self.judge(now, share);
                }
            }
        }
        Said::Nothing
    }

    /// Compares what an answer says in either form with what the first one says.
    fn compare(&mut self, read: &[u8; Counter::BOTH.len()]) {
        self.answered += 1;
        if self.answered == 1 {
            return self.share.expose_mut(|first| first[..read.len()].copy_from_slice(read));
        }
        self.share.expose(|first| {
            for ((agree, first), read) in self.agree.iter_mut().zip(first).zip(read) {
                *agree &= bool::from(first.ct_eq(read));
            }
        });
    }

    /// What follows from the answers so far.
    fn judge(&mut self, now: Duration, share: &mut Secret<SECRET_LEN>) -> Said {
        let is_enough = self.answered >= FEWEST_ANSWERS;
        let form = match self.agree {
            [false, false] => {
                self.is_over = true;
                return Said::Contradiction;
            }
            [true, false] if is_enough => 0,
            [false, true] if is_enough => 1,
            _ => {
                // Somebody is there, so the questions are worth sending again.
                self.sending.go_on(now);
                if self.answered == self.asked && self.asked < self.questions.len() {
                    self.asked += 1;
                    self.sending.at_once(now);
                }
                return Said::Unclear;
            }
        };
        self.share.expose(|first| share.expose_mut(|share| share[0] = first[form]));
        Said::Share(Counter::BOTH[form])
    }
}

impl Question {
    /// What a datagram says, if it is an answer to this question: a share in either form, or a refusal. It is read on
    /// the scratch stack that it has arrived on.
    fn read(&self, key: &EnvelopeKey, datagram: &[u8]) -> Option<Result<[u8; Counter::BOTH.len()], Status>> {
        let Packet { header, challenge, .. } = &self.packet;
        if let Some(status) = self.refusal(datagram) {
            return Some(Err(status));
        }
        let datagram: &[u8; ANSWER_LEN] = datagram.try_into().ok()?;
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

/// What must not be done: a request whose answer everybody knows, with which a listener opens the AN.
#[cfg(feature = "controls")]
fn ask_for_version(
    raida: RaidaIndex,
    envelope: Envelope,
    random: &[[u8; REQUEST_RANDOM_LEN]],
) -> Option<Packet> {
    use rke_secret::control::{Control, is_on};

    let random = random.last().filter(|_| is_on(Control::KnownAnswers))?;
    Some(Packet::new((raida, Command::Version.to_wire()), envelope, random, crate::challenge::CHALLENGE_LEN))
}
