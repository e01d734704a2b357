//! What a node counts of the datagrams that it responds to. Nothing of it tells one client from another.

use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

use rke_host::monitored::{Metric, Tally};
use rke_proto::Status;
use rke_proto::command::Command;
use rke_proto::header::RequestHeader;

use super::Responder;

rke_host::kinds! {
    /// The command of a request.
    CommandKind as "command" {
        Echo = "echo",
        Version = "version",
        GetKeyShare = "get_key_share",
        GetWideKeyShare = "get_wide_key_share",
        PreloadMasterKey = "preload_master_key",
        PreloadKeySet = "preload_key_set",
        Unknown = "unknown",
    }
}

rke_host::kinds! {
    /// The outcome of a request.
    Outcome as "outcome" {
        Answered = "answered",
        Refused = "refused",
        /// The same datagram again, which gets the same response, or waits for it.
        Repeated = "repeated",
    }
}

rke_host::kinds! {
    /// Why a request was refused: the status of the response.
    pub(super) Reason as "reason" {
        WrongRaida = "wrong_raida",
        UnknownCommand = "unknown_command",
        BadLength = "bad_length",
        CoinNotFound = "coin_not_found",
        EnvelopeNotAllowed = "envelope_not_allowed",
        BadTrailer = "bad_trailer",
        BadEncryption = "bad_encryption",
        BadChallenge = "bad_challenge",
        BadParameter = "bad_parameter",
        BadHmac = "bad_hmac",
        NoSuchKeySet = "no_such_key_set",
        OwnedByAnother = "owned_by_another",
        Internal = "internal",
    }
}

rke_host::kinds! {
    /// The outcome of a preload that a known coin has sent.
    pub(super) Preloaded as "outcome" {
        Stored = "stored",
        Refused = "refused",
        /// It could not be written.
        Failed = "failed",
    }
}

/// Counts since the node started.
#[derive(Default)]
pub(super) struct Counters {
    requests: Tally<(CommandKind, Outcome)>,
    refusals: Tally<Reason>,
    pub(super) preloads: Tally<Preloaded>,
    malformed: AtomicU64,
    not_remembered: AtomicU64,
}

impl Counters {
    pub(super) fn malformed(&self) {
        self.malformed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self, command: Command) {
        self.requests.add((CommandKind::of(Some(command)), Outcome::Answered));
    }

    pub(super) fn repeated(&self, command: Command) {
        self.requests.add((CommandKind::of(Some(command)), Outcome::Repeated));
    }

    pub(super) fn refused(&self, header: &RequestHeader, status: Status) {
        let command = Command::from_wire(header.group, header.command);
        self.requests.add((CommandKind::of(command), Outcome::Refused));
        self.refusals.add(Reason::of(status));
    }

    /// A request in an envelope that does not exist. Its command cannot be read.
    pub(super) fn unreadable(&self, status: Status) {
        self.requests.add((CommandKind::Unknown, Outcome::Refused));
        self.refusals.add(Reason::of(status));
    }

    /// A request that is refused only because it could not be remembered.
    pub(super) fn not_remembered(&self) {
        self.not_remembered.fetch_add(1, Ordering::Relaxed);
    }
}

impl CommandKind {
    fn of(command: Option<Command>) -> Self {
        match command {
            Some(Command::Echo) => Self::Echo,
            Some(Command::Version) => Self::Version,
            Some(Command::GetKeyShare) => Self::GetKeyShare,
            Some(Command::GetWideKeyShare) => Self::GetWideKeyShare,
            Some(Command::PreloadMasterKey) => Self::PreloadMasterKey,
            Some(Command::PreloadKeySet) => Self::PreloadKeySet,
            None => Self::Unknown,
        }
    }
}

impl Reason {
    pub(super) fn of(status: Status) -> Self {
        match status {
            Status::WRONG_RAIDA => Self::WrongRaida,
            Status::UNKNOWN_COMMAND => Self::UnknownCommand,
            Status::BAD_LENGTH => Self::BadLength,
            Status::COIN_NOT_FOUND => Self::CoinNotFound,
            Status::ENVELOPE_NOT_ALLOWED => Self::EnvelopeNotAllowed,
            Status::BAD_TRAILER => Self::BadTrailer,
            Status::BAD_ENCRYPTION => Self::BadEncryption,
            Status::BAD_CHALLENGE => Self::BadChallenge,
            Status::BAD_PARAMETER => Self::BadParameter,
            Status::BAD_HMAC => Self::BadHmac,
            Status::NO_SUCH_KEY_SET => Self::NoSuchKeySet,
            Status::OWNED_BY_ANOTHER => Self::OwnedByAnother,
            _ => Self::Internal,
        }
    }
}

impl Responder {
    /// The metrics of a node at `now`, in Unix seconds.
    pub fn metrics(&self, now: u64) -> Vec<Metric> {
        let counters = &self.counters;
        let coins = self.operated.load().ans.len() as u64;
        let (owned, key_sets) = {
            let key_sets = self.key_sets.read().unwrap_or_else(PoisonError::into_inner);
            (key_sets.owned() as u64, key_sets.len() as u64)
        };
        let (used, size) = self.replay_guard().fill(now);
        let malformed = counters.malformed.load(Ordering::Relaxed);
        let full = counters.not_remembered.load(Ordering::Relaxed);
        let full_help =
            "Requests that were refused because the replay memory, or a coin's part of it, was full";
        vec![
            counters.requests.metric("rke_raida_requests", "Requests, by command and outcome"),
            counters.refusals.metric("rke_raida_refusals", "Requests that were refused, by reason"),
            Metric::counter("rke_raida_malformed_datagrams", "Datagrams that are not requests", malformed),
            counters.preloads.metric("rke_raida_preloads", "Preloads by known coins, by outcome"),
            Metric::gauge("rke_raida_coins", "Coins that the node knows", coins),
            Metric::gauge("rke_raida_owned_ids", "Content Server IDs that a coin owns at the node", owned),
            Metric::gauge("rke_raida_key_sets", "Master secrets that the node holds", key_sets),
            Metric::gauge("rke_raida_replay_memory_used", "Requests that the node remembers", used as u64),
            Metric::gauge("rke_raida_replay_memory_size", "Most requests to remember", size as u64),
            Metric::counter("rke_raida_replay_memory_refusals", full_help, full),
            self.audit.metric(),
        ]
    }
}
