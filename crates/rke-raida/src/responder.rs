//! How a RAIDA answers: one datagram in, at most one out. No socket and no clock, so every status
//! is a plain unit test. The order of the checks is that of `docs/protocol.md` sections 4 and 5.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use rke_proto::challenge::CHALLENGE_LEN;
use rke_proto::coin::{AN_LEN, CoinId};
use rke_proto::command::{self, Command, Preload};
use rke_proto::derive::{self, ShareWidth};
use rke_proto::envelope::{self, ResponseParts};
use rke_proto::header::{HeaderError, NONCE_LEN, RequestHeader};
use rke_proto::{Challenge, Envelope, EnvelopeKey, RaidaIndex, Status};
use rke_secret::{Secret, SecretError};

use crate::key_sets::KeySets;
use crate::replay::{Fingerprint, Replays, Seen, WINDOW_SECONDS};

/// What the caller knows of a datagram besides its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Who sent it.
    pub peer: IpAddr,
    /// When it came, in Unix seconds.
    pub now: u64,
    /// 24 bytes from the system's generator, used once.
    pub random: [u8; NONCE_LEN],
}

/// A RAIDA without its socket.
pub struct Responder {
    raida: RaidaIndex,
    ans: HashMap<CoinId, Secret<AN_LEN>>,
    preloaders: HashSet<CoinId>,
    key_sets: KeySets,
    replays: Replays,
}

/// An answer before it is sealed.
enum Payload {
    Nothing,
    Share { width: ShareWidth, share: Secret<32> },
}

impl Responder {
    /// A RAIDA that knows these coins by their ANs.
    pub fn new(
        raida: RaidaIndex,
        ans: HashMap<CoinId, Secret<AN_LEN>>,
        preloaders: HashSet<CoinId>,
        key_sets: KeySets,
    ) -> Self {
        Self { raida, ans, preloaders, key_sets, replays: Replays::default() }
    }

    /// The answer to a datagram, which is decrypted where it lies: in secret memory, that is, on a
    /// scratch stack. `None` where it is no request.
    pub fn answer(&mut self, arrival: Arrival, datagram: &mut [u8]) -> Option<Vec<u8>> {
        let header = match RequestHeader::decode(datagram) {
            Ok(header) => header,
            Err(HeaderError::NotARequest) => return None,
            Err(HeaderError::UnknownEnvelope { raida, group, echo }) => {
                let wrong = raida != self.raida.get();
                let status = if wrong { Status::WRONG_RAIDA } else { Status::BAD_ENCRYPTION };
                return Some(envelope::refuse_unknown_envelope(self.raida, group, echo, status));
            }
        };
        let opened = self.check_envelope(&header, arrival.peer, datagram);
        let (command, key) = match opened {
            Ok(opened) => opened,
            Err(status) => return self.refuse(&header, &EnvelopeKey::None, None, arrival, status),
        };
        let fingerprint = Fingerprint::of_datagram(datagram);
        let body = match envelope::open_request(&header, &key, datagram) {
            Ok(body) => &*body,
            Err(status) => return self.refuse(&header, &key, None, arrival, status),
        };
        let readable = body.first_chunk::<CHALLENGE_LEN>().copied();
        let (challenge, rest) = match check_body(command, body) {
            Ok(split) => split,
            Err(status) => return self.refuse(&header, &key, readable, arrival, status),
        };
        let sender: Vec<u8> =
            header.envelope.coins().flat_map(CoinId::to_bytes).chain([header.command]).collect();
        let fingerprint = fingerprint.with_body(&sender, body);
        let seen = self.replays.look_up(&challenge, &fingerprint, arrival.now);
        if let Seen::Retransmitted(answer) = seen {
            return Some(answer);
        }
        let done = match seen {
            Seen::Reused => Err(Status::BAD_PARAMETER),
            _ => self.perform(command, &header, rest, arrival.now),
        };
        let answer = match done {
            Ok(payload) => self.seal(&header, &key, &challenge, arrival, &payload)?,
            Err(status) => self.refuse(&header, &key, readable, arrival, status)?,
        };
        if seen == Seen::New {
            self.replays.remember(challenge, fingerprint, &answer, arrival.now);
        }
        Some(answer)
    }

    /// Everything that can be checked before the body is opened: the command and the envelope's key.
    fn check_envelope(
        &self,
        header: &RequestHeader,
        peer: IpAddr,
        datagram: &[u8],
    ) -> Result<(Command, EnvelopeKey), Status> {
        if header.raida != self.raida.get() {
            return Err(Status::WRONG_RAIDA);
        }
        envelope::check_request_frame(header, datagram)?;
        let command = Command::from_wire(header.group, header.command).ok_or(Status::UNKNOWN_COMMAND)?;
        let clear_from_afar = header.envelope == Envelope::Type0 && !peer.to_canonical().is_loopback();
        if clear_from_afar || !command.allows(header.envelope) {
            return Err(Status::ENVELOPE_NOT_ALLOWED);
        }
        Ok((command, self.envelope_key(header.envelope)?))
    }

    fn envelope_key(&self, envelope: Envelope) -> Result<EnvelopeKey, Status> {
        let an = |coin: CoinId| self.ans.get(&coin).ok_or(Status::COIN_NOT_FOUND);
        Ok(match envelope {
            Envelope::Type0 => EnvelopeKey::None,
            Envelope::Type1(coin) => EnvelopeKey::type_1(an(coin)?).map_err(no_memory)?,
            Envelope::Type4(coin) => EnvelopeKey::type_4(an(coin)?).map_err(no_memory)?,
            Envelope::Type5(first, second) => {
                EnvelopeKey::type_5(an(first)?, an(second)?).map_err(no_memory)?
            }
        })
    }

    fn perform(
        &mut self,
        command: Command,
        header: &RequestHeader,
        body: &[u8],
        now: u64,
    ) -> Result<Payload, Status> {
        match command {
            Command::GetKeyShare => self.share(ShareWidth::Narrow, body, now),
            Command::GetWideKeyShare => self.share(ShareWidth::Wide, body, now),
            Command::PreloadMasterKey => self.preload(header, body),
        }
    }

    fn share(&self, width: ShareWidth, body: &[u8], now: u64) -> Result<Payload, Status> {
        let context = command::decode_share_request(body).map_err(command::refusal)?;
        if context.timestamp.abs_diff(now) > WINDOW_SECONDS {
            return Err(Status::BAD_PARAMETER);
        }
        let master = self.key_sets.master(&context.cs_id, context.key_id).ok_or(Status::NO_SUCH_KEY_SET)?;
        let share =
            Secret::fill(|share| master.expose(|master| derive::share(master, width, &context, share)));
        Ok(Payload::Share { width, share: share.map_err(no_memory)? })
    }

    fn preload(&mut self, header: &RequestHeader, body: &[u8]) -> Result<Payload, Status> {
        let preload = Preload::decode(body).map_err(command::refusal)?;
        if !header.envelope.coins().any(|coin| self.preloaders.contains(&coin)) {
            return Err(Status::BAD_PARAMETER);
        }
        for (key_id, master) in preload.key_sets() {
            let master = Secret::fill(|slot| slot.copy_from_slice(master)).map_err(no_memory)?;
            self.key_sets.keep(preload.cs_id, key_id, master).map_err(|error| {
                tracing::error!(raida = %self.raida, %error, "a master secret could not be stored");
                Status::INTERNAL
            })?;
        }
        tracing::info!(raida = %self.raida, cs_id = %preload.cs_id, "master secrets preloaded");
        Ok(Payload::Nothing)
    }

    fn seal(
        &self,
        header: &RequestHeader,
        key: &EnvelopeKey,
        challenge: &Challenge,
        arrival: Arrival,
        payload: &Payload,
    ) -> Option<Vec<u8>> {
        let parts = self.parts(Status::SUCCESS, Some(*challenge.as_bytes()), arrival);
        let sealed = match payload {
            Payload::Nothing => envelope::seal_response(header, key, &parts, 0, |_| ()),
            Payload::Share { width: ShareWidth::Narrow, share } => {
                envelope::seal_response(header, key, &parts, 1, |out| share.expose(|share| out[0] = share[0]))
            }
            Payload::Share { width: ShareWidth::Wide, share } => {
                let len = CHALLENGE_LEN + ShareWidth::Wide.share_len();
                envelope::seal_response(header, key, &parts, len, |out| {
                    let (echoed, out) = out.split_at_mut(CHALLENGE_LEN);
                    echoed.copy_from_slice(challenge.as_bytes());
                    share.expose(|share| out.copy_from_slice(share));
                })
            }
        };
        sealed.map_err(no_memory).ok()
    }

    fn refuse(
        &self,
        header: &RequestHeader,
        key: &EnvelopeKey,
        challenge: Option<[u8; CHALLENGE_LEN]>,
        arrival: Arrival,
        status: Status,
    ) -> Option<Vec<u8>> {
        let parts = self.parts(status, challenge, arrival);
        envelope::seal_response(header, key, &parts, 0, |_| ()).map_err(no_memory).ok()
    }

    fn parts(
        &self,
        status: Status,
        challenge: Option<[u8; CHALLENGE_LEN]>,
        arrival: Arrival,
    ) -> ResponseParts {
        ResponseParts { raida: self.raida, status, challenge, execution_micros: 0, random: arrival.random }
    }
}

fn no_memory(error: SecretError) -> Status {
    tracing::error!(%error, "a request could not be answered");
    Status::INTERNAL
}

/// The body's length first, then its challenge.
fn check_body(command: Command, body: &[u8]) -> Result<(Challenge, &[u8]), Status> {
    if command != Command::PreloadMasterKey && body.len() != command::SHARE_REQUEST_LEN {
        return Err(Status::BAD_LENGTH);
    }
    command::split_challenge(body)
}

#[cfg(test)]
mod tests;
