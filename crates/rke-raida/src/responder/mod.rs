//! How a RAIDA responds: one datagram in, at most one out. Without socket and clock, so a plain unit test covers each
//! status. The order of the checks is that of `docs/protocol.md` sections 4 and 5.

mod counters;
mod imitation;
mod operated;
mod preloading;
mod replay_guard;

use std::io::Write;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use arc_swap::ArcSwap;
use rke_host::wallet::Envelope1;
use rke_proto::challenge::CHALLENGE_LEN;
use rke_proto::command::{self, Command, Preload, Preloading};
use rke_proto::derive::{self, ShareKind};
use rke_proto::envelope::{self, ResponseParts};
use rke_proto::header::{HeaderError, NONCE_LEN, RequestHeader};
use rke_proto::{Challenge, Envelope, EnvelopeKey, RaidaIndex, Status};
use rke_secret::{Secret, SecretError};

use self::counters::{Counters, Reason};
pub use self::imitation::Imitation;
#[cfg(feature = "public-servers")]
pub use self::imitation::{RefusalHeader, VERSION};
use self::operated::Operated;
pub use self::operated::{Ans, NodePolicy};
use self::replay_guard::{Fingerprint, ReplayCheck, ReplayGuard, RequestName};
use crate::audit::{NodeAudit, NodeEvent};
use crate::key_sets::KeySets;
use crate::log_limit::LogLimit;
use crate::replay::WINDOW_SECONDS;

/// What the caller knows about a datagram in addition to its bytes.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Who sent it.
    pub peer: IpAddr,
    /// When it came, in Unix seconds.
    pub now: u64,
    /// 24 bytes from the system's generator, used once.
    pub random: [u8; NONCE_LEN],
}

/// A RAIDA without its sockets. All receivers use the same one, so what it remembers holds for all of them.
pub struct Responder {
    raida: RaidaIndex,
    operated: ArcSwap<Operated>,
    /// This lock is taken before a separate stack for the work, never inside it.
    key_sets: RwLock<KeySets>,
    replay_guard: Mutex<ReplayGuard>,
    counters: Counters,
    /// Lines about refused preloads, which everyone with a coin can cause.
    refused_preloads: LogLimit,
    audit: NodeAudit,
}

/// A request that was opened.
struct Opened<'a> {
    command: Command,
    key: EnvelopeKey,
    fingerprint: Fingerprint,
    challenge: Challenge,
    /// The rest, behind the challenge.
    body: &'a [u8],
}

/// Why a request could not be opened, and the key that signs its refusal.
struct Unopened {
    status: Status,
    key: EnvelopeKey,
    readable: Option<[u8; CHALLENGE_LEN]>,
}

impl From<Status> for Unopened {
    fn from(status: Status) -> Self {
        Self { status, key: EnvelopeKey::None, readable: None }
    }
}

impl Responder {
    /// A RAIDA that knows these coins.
    pub fn new(raida: RaidaIndex, ans: Ans, rules: NodePolicy, key_sets: KeySets) -> Self {
        let replay_guard = Mutex::new(ReplayGuard::new(rules.replay_places));
        let operated = ArcSwap::from_pointee(Operated { ans, rules });
        let (key_sets, counters) = (RwLock::new(key_sets), Counters::default());
        let (refused_preloads, audit) = (LogLimit::default(), NodeAudit::default());
        Self { raida, operated, key_sets, replay_guard, counters, refused_preloads, audit }
    }

    /// The same RAIDA, which keeps an audit log.
    pub(crate) fn with_audit(self, audit: NodeAudit) -> Self {
        Self { audit, ..self }
    }

    /// Its audit log.
    pub(crate) fn audit(&self) -> &NodeAudit {
        &self.audit
    }

    /// The response to a datagram, which is decrypted in place, so it must lie in secret memory on a scratch stack.
    /// `None` if it is not a request.
    pub fn respond(&self, arrival: Arrival, datagram: &mut [u8]) -> Option<Vec<u8>> {
        let header = match RequestHeader::decode(datagram) {
            Ok(header) => header,
            Err(HeaderError::NotARequest) => {
                self.counters.malformed();
                return None;
            }
            Err(HeaderError::UnknownEnvelope { raida, group, echo }) => {
                let wrong = raida != self.raida.get();
                let status = if wrong { Status::WRONG_RAIDA } else { Status::BAD_ENCRYPTION };
                self.counters.unreadable(status);
                self.note_refusal(status);
                return Some(envelope::refuse_unknown_envelope(self.raida, group, echo, status));
            }
        };
        #[cfg(feature = "public-servers")]
        if let Some(answer) = self.imitate(&header, arrival, datagram) {
            return Some(answer);
        }
        match self.open(&header, arrival.peer, datagram) {
            Ok(opened) => self.answer_opened(&header, arrival, &opened),
            Err(Unopened { status, key, readable }) => self.refuse(&header, &key, readable, arrival, status),
        }
    }

    fn open<'a>(
        &self,
        header: &RequestHeader,
        peer: IpAddr,
        datagram: &'a mut [u8],
    ) -> Result<Opened<'a>, Unopened> {
        let (command, key) = self.check_envelope(header, peer, datagram)?;
        let fingerprint = Fingerprint::of_datagram(datagram);
        let body = match envelope::open_request(header, &key, datagram) {
            Ok(body) => &*body,
            Err(status) => return Err(Unopened { status, key, readable: None }),
        };
        match check_body(command, body) {
            Ok((challenge, rest)) => {
                let fingerprint = fingerprint.with_body(body);
                Ok(Opened { command, key, fingerprint, challenge, body: rest })
            }
            Err(status) => Err(Unopened { status, key, readable: body.first_chunk().copied() }),
        }
    }

    fn answer_opened(
        &self,
        header: &RequestHeader,
        arrival: Arrival,
        opened: &Opened<'_>,
    ) -> Option<Vec<u8>> {
        let Opened { command, key, fingerprint, challenge, .. } = opened;
        if command.is_status() {
            return self.seal(header, opened, arrival, None);
        }
        let name = RequestName::new(header.envelope.coin_pair(), *command, challenge);
        let times = (arrival.now, timestamp_of(*command, opened.body));
        // From here on all receivers know the request and recognise a second one.
        let check = self.replay_guard().begin(&name, fingerprint, times);
        let done = match check {
            ReplayCheck::Retransmitted(answer) => {
                self.counters.repeated(*command);
                return Some(answer);
            }
            // The first one gets the response.
            ReplayCheck::Underway => {
                self.counters.repeated(*command);
                return None;
            }
            ReplayCheck::Reused => Err(Status::BAD_PARAMETER),
            ReplayCheck::NoRoom => {
                self.counters.not_remembered();
                Err(Status::INTERNAL)
            }
            // A completed preload is a success. A second attempt would fail, because its own timestamp is no longer
            // later.
            ReplayCheck::Resealed(Status::SUCCESS) if command.share_width().is_none() => Ok(None),
            ReplayCheck::Resealed(status) if command.share_width().is_none() => Err(status),
            ReplayCheck::New | ReplayCheck::Resealed(_) => {
                self.perform(*command, header, opened.body, arrival.now)
            }
        };
        let answer = match done {
            Ok(share) => self.seal(header, opened, arrival, share.as_ref())?,
            Err(status) => self.refuse(header, key, Some(*challenge.as_bytes()), arrival, status)?,
        };
        if check == ReplayCheck::New {
            self.replay_guard().finish(&name, &answer, arrival.now);
        }
        Some(answer)
    }

    /// Checks everything that does not need the body: the command and the envelope's key.
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
        let operated = self.operated.load();
        let takes = match header.envelope {
            Envelope::Type0 => command.is_status() || peer.to_canonical().is_loopback(),
            Envelope::Type1(_) => operated.rules.envelope_1 == Envelope1::Allowed,
            Envelope::Type4(_) | Envelope::Type5(..) => true,
        };
        if !command.allows(header.envelope) || !takes {
            return Err(Status::ENVELOPE_NOT_ALLOWED);
        }
        Ok((command, operated.envelope_key(header.envelope)?))
    }

    fn replay_guard(&self) -> MutexGuard<'_, ReplayGuard> {
        self.replay_guard.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Executes a request, and returns the share if it asks for one.
    fn perform(
        &self,
        command: Command,
        header: &RequestHeader,
        body: &[u8],
        now: u64,
    ) -> Result<Option<Secret<32>>, Status> {
        let coins = || header.envelope.coin_pair().ok_or(Status::ENVELOPE_NOT_ALLOWED);
        match command {
            // Without a payload, or with one that is the same for everyone.
            Command::Echo | Command::Version => Ok(None),
            Command::GetKeyShare => self.share(ShareKind::Narrow, body, now).map(Some),
            // Bound to the coins whose ANs opened the envelope: no other client gets that share.
            Command::GetWideKeyShare => self.share(ShareKind::Wide(coins()?), body, now).map(Some),
            Command::PreloadMasterKey => {
                let preload = Preload::decode(body).map_err(command::refusal)?;
                self.preload_apart(&preload, coins()?.first, Preloading::Public, now).map(|()| None)
            }
            Command::PreloadKeySet => {
                let (timestamp, preload) = Preload::decode_with_timestamp(body).map_err(command::refusal)?;
                let preloading = Preloading::Dated(timestamp);
                self.preload_apart(&preload, coins()?.first, preloading, now).map(|()| None)
            }
        }
    }

    fn share(&self, kind: ShareKind, body: &[u8], now: u64) -> Result<Secret<32>, Status> {
        let context = command::decode_share_request(body).map_err(command::refusal)?;
        if context.timestamp.abs_diff(now) > WINDOW_SECONDS {
            return Err(Status::BAD_PARAMETER);
        }
        let key_sets = self.key_sets.read().unwrap_or_else(PoisonError::into_inner);
        let master = key_sets.master(&context.cs_id, context.key_set, kind.width());
        let master = master.ok_or(Status::NO_SUCH_KEY_SET)?;
        let share =
            Secret::fill(|share| master.expose(|master| derive::share(master, kind, &context, share)));
        share.map_err(no_memory)
    }

    fn seal(
        &self,
        header: &RequestHeader,
        opened: &Opened<'_>,
        arrival: Arrival,
        share: Option<&Secret<32>>,
    ) -> Option<Vec<u8>> {
        let Opened { command, key, challenge, .. } = opened;
        let parts = self.parts(Status::SUCCESS, Some(*challenge.as_bytes()), arrival);
        let write_payload = |mut out: &mut [u8]| {
            if command.returns_challenge() {
                let (echoed, rest) = out.split_at_mut(CHALLENGE_LEN);
                echoed.copy_from_slice(challenge.as_bytes());
                out = rest;
            }
            if let Some(share) = share {
                share.expose(|share| out.copy_from_slice(&share[..out.len()]));
            }
            if *command == Command::Version {
                write_version(out);
            }
        };
        #[cfg(not(feature = "public-servers"))]
        let sealed = envelope::seal_response(header, key, &parts, command.payload_len(), write_payload);
        #[cfg(feature = "public-servers")]
        let sealed = {
            let imitates = self.operated.load().rules.imitates;
            imitates.seal_response(header, key, &parts, command.payload_len(), write_payload)
        };
        let sealed = sealed.map_err(no_memory).ok()?;
        self.counters.answered(*command);
        Some(sealed)
    }

    fn refuse(
        &self,
        header: &RequestHeader,
        key: &EnvelopeKey,
        challenge: Option<[u8; CHALLENGE_LEN]>,
        arrival: Arrival,
        status: Status,
    ) -> Option<Vec<u8>> {
        self.counters.refused(header, status);
        self.note_refusal(status);
        let parts = self.parts(status, challenge, arrival);
        envelope::seal_response(header, key, &parts, 0, |_| ()).map_err(no_memory).ok()
    }

    /// Anyone can cause these.
    fn note_refusal(&self, status: Status) {
        self.audit.record(NodeEvent::RequestRefused { reason: Reason::of(status).name(), count: 1 });
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

/// Writes this program's version: two digits each for major, minor and patch, separated by dots.
fn write_version(mut out: &mut [u8]) {
    let [major, minor, patch] =
        [env!("CARGO_PKG_VERSION_MAJOR"), env!("CARGO_PKG_VERSION_MINOR"), env!("CARGO_PKG_VERSION_PATCH")];
    // Anything that does not fit is cut.
    let _ = write!(out, "{major:0>2}.{minor:0>2}.{patch:0>2}");
}

fn no_memory(error: SecretError) -> Status {
    tracing::error!(%error, "a request could not be answered");
    Status::INTERNAL
}

/// The body's length first, then its challenge.
fn check_body(command: Command, body: &[u8]) -> Result<(Challenge, &[u8]), Status> {
    if command.share_width().is_some() && body.len() != command::SHARE_REQUEST_LEN {
        return Err(Status::BAD_LENGTH);
    }
    command::split_challenge(body)
}

/// When a request says that it was made, in Unix seconds.
fn timestamp_of(command: Command, body: &[u8]) -> Option<u64> {
    match command {
        Command::GetKeyShare | Command::GetWideKeyShare => {
            Some(command::decode_share_request(body).ok()?.timestamp)
        }
        Command::PreloadKeySet => Some(Preload::decode_with_timestamp(body).ok()?.0),
        Command::Echo | Command::Version | Command::PreloadMasterKey => None,
    }
}

#[cfg(test)]
mod tests;
