//! One request of a round: sealed once, sent again unchanged, and what became of it.

use std::net::SocketAddr;
use std::time::Duration;

use rke_secret::{Secret, SecretError};

use super::{Fault, Outcome, Pace, Recipient};
use crate::challenge::{CHALLENGE_LEN, RANDOM_LEN};
use crate::command::Command;
use crate::cursor::DecodeError;
use crate::derive::{SECRET_LEN, ShareWidth};
use crate::envelope::{self, RequestParts};
use crate::header::{NONCE_LEN, RequestHeader};
use crate::{Challenge, EnvelopeKey, RaidaIndex, Status};

/// What the answer to a request must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    Nothing,
    Share(ShareWidth),
}

/// One sealed request and what became of it.
pub(super) struct Request {
    pub(super) raida: RaidaIndex,
    pub(super) endpoint: SocketAddr,
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
}

pub(super) enum State {
    /// No valid answer yet; the last answer that had to be dropped, if any.
    Waiting(Option<DecodeError>),
    Answered,
    /// Its share is not the Content Server's.
    Lied,
    Refused(Status),
    Unreachable,
}

impl Request {
    pub(super) fn seal(
        recipient: Recipient,
        command: Command,
        body_len: usize,
        write_body: impl FnOnce(&Challenge, &mut [u8]),
    ) -> Result<Self, SecretError> {
        let mut seed = [0; RANDOM_LEN];
        let mut random = [0; NONCE_LEN];
        seed.copy_from_slice(&recipient.random[..RANDOM_LEN]);
        random.copy_from_slice(&recipient.random[RANDOM_LEN..]);
        let challenge = Challenge::new(seed);
        let Recipient { raida, endpoint, envelope, key, pace, .. } = recipient;
        let parts = RequestParts { raida, command: command.to_wire(), envelope, random };
        let write_body = |body: &mut [u8]| write_body(&challenge, body);
        let (header, datagram) = envelope::seal_request(&parts, &key, body_len, write_body)?;
        let (share, state) = (Secret::zeros()?, State::Waiting(None));
        let (sent, next_send, took) = (0, pace.ask_after, None);
        Ok(Self {
            raida,
            endpoint,
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
        })
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }

    pub(super) fn fault(&self) -> Option<Fault> {
        match self.state {
            State::Answered => None,
            State::Waiting(None) => Some(Fault::Silent),
            State::Waiting(Some(error)) => Some(Fault::Malformed(error)),
            State::Lied => Some(Fault::WrongShare),
            State::Refused(status) => Some(Fault::Refused(status)),
            State::Unreachable => Some(Fault::Unreachable),
        }
    }

    pub(super) fn outcome(&self) -> Outcome {
        let result = self.fault().map_or(Ok(self.took.unwrap_or_default()), Err);
        Outcome { raida: self.raida, endpoint: self.endpoint, result }
    }

    /// Takes in an answer, and says whether it was one: a share, or a refusal.
    pub(super) fn receive(&mut self, payload: Payload, datagram: &mut [u8], now: Duration) -> bool {
        if matches!(self.state, State::Answered | State::Lied) {
            return false;
        }
        match self.open(payload, datagram) {
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
                if self.is_waiting() {
                    self.state = State::Waiting(Some(error));
                }
                false
            }
        }
    }

    fn open(&mut self, expected: Payload, datagram: &mut [u8]) -> Result<(), Dropped> {
        let response = envelope::open_response(&self.header, &self.challenge, &self.key, datagram)?;
        if response.status != Status::SUCCESS {
            return Err(Dropped::Refusal(response.status));
        }
        let share = match expected {
            Payload::Nothing | Payload::Share(ShareWidth::Narrow) => &*response.payload,
            Payload::Share(ShareWidth::Wide) => {
                let split = response.payload.split_first_chunk::<CHALLENGE_LEN>();
                let (challenge, share) = split.ok_or(DecodeError::Mismatch("the payload length"))?;
                if challenge != self.challenge.as_bytes() {
                    return Err(DecodeError::Mismatch("the challenge in the answer").into());
                }
                share
            }
        };
        let expected_len = match expected {
            Payload::Nothing => 0,
            Payload::Share(width) => width.share_len(),
        };
        if share.len() != expected_len {
            return Err(DecodeError::Mismatch("the payload length").into());
        }
        self.share.expose_mut(|slot| slot[..expected_len].copy_from_slice(share));
        Ok(())
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
