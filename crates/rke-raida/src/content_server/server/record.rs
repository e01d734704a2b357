//! Records each connection: its counters, and one line in the log when it ends. Lines about clients that have not shown
//! that they have a key are limited in number, because anyone can connect.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rke_host::framing::RecordIoError;
use rke_host::monitored::{Metric, Tally};
use rke_proto::coin::CoinId;
use rke_proto::handshake::packet::{FirstHeader, Kind as PacketKind};
use rke_proto::handshake::{KeyId, Reason};
use tokio::time::Instant;

use super::cut::{Cut, CutReason};
use crate::audit::{ServerAudit, ServerEvent};
use crate::clock::unix_seconds;
use crate::log_limit::LogLimit;

/// How many digits of a key id are logged.
const SHORT_KEY_ID: usize = 8;

rke_host::kinds! {
    /// What a connection is for: the kind of its first packet.
    pub(super) ConnectionKind as "kind" {
        Exchange = "exchange",
        Resumption = "resumption",
        Tunnel = "tunnel",
        ShareCheck = "share_check",
        Forget = "forget",
        Live = "live",
        /// No first packet has arrived.
        Unknown = "unknown",
    }
}

rke_host::kinds! {
    /// How a connection ended.
    Outcome as "outcome" {
        /// It did what it is for.
        Done = "done",
        Refused = "refused",
        Cut = "cut",
        /// What arrived is not a first packet, or did not arrive in time.
        Unreadable = "unreadable",
        /// The client closed it before it sent anything.
        Empty = "empty",
    }
}

rke_host::kinds! {
    /// Why a first packet was refused.
    pub(super) Refused as "reason" {
        Stale = "stale",
        NoSuchKeySet = "no_such_key_set",
        NoSuchKey = "no_such_key",
        WrongShares = "wrong_shares",
        Replayed = "replayed",
        Busy = "busy",
        AnotherDomain = "another_domain",
        Retired = "retired",
        /// A packet of a live session, for any of its reasons.
        Live = "live",
    }
}

impl From<Reason> for Refused {
    fn from(reason: Reason) -> Self {
        match reason {
            Reason::Stale => Self::Stale,
            Reason::NoSuchKeySet => Self::NoSuchKeySet,
            Reason::NoSuchKey => Self::NoSuchKey,
            Reason::WrongShares => Self::WrongShares,
            Reason::Replayed => Self::Replayed,
            Reason::Busy => Self::Busy,
            Reason::AnotherDomain => Self::AnotherDomain,
            Reason::Retired => Self::Retired,
        }
    }
}

impl ConnectionKind {
    /// What a whole first packet of handshake 3 is for.
    pub(super) fn of(packet: &[u8]) -> Self {
        match packet.first_chunk().map(FirstHeader::decode) {
            Some(Ok(header)) => match header.kind {
                PacketKind::Exchange => Self::Exchange,
                PacketKind::Resume => Self::Resumption,
                PacketKind::Attach => Self::Tunnel,
                PacketKind::ShareCheck => Self::ShareCheck,
                PacketKind::Forget => Self::Forget,
            },
            _ => Self::Unknown,
        }
    }
}

/// How a connection ended without a fault.
pub(super) enum End {
    /// It did what it is for.
    Done,
    /// Its first packet was refused.
    Refused(Refused),
    /// The client closed it before it sent anything.
    Empty,
}

/// How a connection ended with a fault.
pub(super) enum Fault {
    /// It was cut.
    Cut(Cut),
    /// What arrived is not a first packet.
    Unreadable(io::Error),
}

impl From<Cut> for Fault {
    fn from(cut: Cut) -> Self {
        Self::Cut(cut)
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Cut(RecordIoError::Broken(error).into())
    }
}

/// Counts since the Content Server started, and what is open now. Refusals go to the audit log too.
#[derive(Default)]
pub(super) struct Counters {
    connections: Tally<(ConnectionKind, Outcome)>,
    refusals: Tally<Refused>,
    cuts: Tally<CutReason>,
    open: AtomicU64,
    tunnels: AtomicU64,
    lines: LogLimit,
    audit: ServerAudit,
}

impl Counters {
    pub(super) fn new(audit: ServerAudit) -> Self {
        Self { audit, ..Self::default() }
    }

    pub(super) fn metrics(&self) -> Vec<Metric> {
        let load = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (connections, open) = ("rke_content_server_connections", "rke_content_server_open_connections");
        let (refusals, cuts) = ("rke_content_server_refusals", "rke_content_server_cuts");
        vec![
            self.connections.metric(connections, "Connections that have ended, by kind and outcome"),
            self.refusals.metric(refusals, "First packets that were refused, by reason"),
            self.cuts.metric(cuts, "Connections that were cut, by reason"),
            Metric::gauge(open, "Open connections", load(&self.open)),
            Metric::gauge("rke_content_server_tunnels", "Open tunnels", load(&self.tunnels)),
            self.audit.metric(),
        ]
    }
}

/// An open connection, and what is known of it.
pub(super) struct ConnectionRecord {
    counters: Arc<Counters>,
    peer: SocketAddr,
    pub(super) since: Instant,
    pub(super) kind: ConnectionKind,
    pub(super) key_id: Option<KeyId>,
    domain: Option<String>,
    coin: Option<CoinId>,
    is_tunnel: bool,
}

impl ConnectionRecord {
    /// A connection that has just been accepted.
    pub(super) fn new(counters: &Arc<Counters>, peer: SocketAddr) -> Self {
        counters.open.fetch_add(1, Ordering::Relaxed);
        let (counters, since, kind) = (Arc::clone(counters), Instant::now(), ConnectionKind::Unknown);
        Self { counters, peer, since, kind, key_id: None, domain: None, coin: None, is_tunnel: false }
    }

    /// Notes the client, once a record of it has opened.
    pub(super) fn note_client(&mut self, domain: &str, coin: Option<CoinId>) {
        (self.domain, self.coin) = (Some(domain.to_owned()), coin);
    }

    /// Where it comes from.
    pub(super) fn peer(&self) -> IpAddr {
        self.peer.ip()
    }

    /// Notes that it carries an application's data from now on.
    pub(super) fn note_tunnel(&mut self) {
        self.is_tunnel = true;
        self.counters.tunnels.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts and logs its end.
    pub(super) fn end(self, ended: Result<End, Fault>) {
        let counters = &self.counters;
        let (outcome, reason) = match &ended {
            Ok(End::Done) => (Outcome::Done, None),
            Ok(End::Empty) => (Outcome::Empty, None),
            Ok(End::Refused(refused)) => {
                counters.refusals.add(*refused);
                counters.audit.record(ServerEvent::HandshakeRefused { reason: refused.name(), count: 1 });
                (Outcome::Refused, Some(refused.name().to_owned()))
            }
            Err(Fault::Cut(cut)) => {
                counters.cuts.add(cut.reason());
                (Outcome::Cut, Some(cut.to_string()))
            }
            Err(Fault::Unreadable(error)) => (Outcome::Unreadable, Some(error.to_string())),
        };
        counters.connections.add((self.kind, outcome));
        self.log(outcome, reason.as_deref());
    }

    fn log(&self, outcome: Outcome, reason: Option<&str>) {
        let is_known = self.domain.is_some() || self.key_id.is_some() || self.is_tunnel;
        let left_out = match (outcome, is_known) {
            // As a port scan or a health check does.
            (Outcome::Empty, _) => return tracing::debug!(peer = %self.peer, "a connection without a packet"),
            (_, true) => None,
            (_, false) => match self.counters.lines.take(unix_seconds()) {
                None => return,
                Some(left_out) => Some(left_out).filter(|left_out| *left_out > 0),
            },
        };
        let key = self.key_id.map(|key_id| key_id.to_string()[..SHORT_KEY_ID].to_owned());
        tracing::info!(
            peer = %self.peer,
            kind = self.kind.name(),
            outcome = outcome.name(),
            reason,
            domain = self.domain.as_deref(),
            key,
            coin = self.coin.map(tracing::field::display),
            millis = self.since.elapsed().as_millis() as u64,
            left_out,
            "connection"
        );
    }
}

impl Drop for ConnectionRecord {
    fn drop(&mut self) {
        self.counters.open.fetch_sub(1, Ordering::Relaxed);
        if self.is_tunnel {
            self.counters.tunnels.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
