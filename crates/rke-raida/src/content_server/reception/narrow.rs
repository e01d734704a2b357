//! Envelope type 6: keys of narrow shares, as the live network has them. `docs/protocol.md` section 8. Each handshake
//! makes its key at once, a key makes one handshake, and no packet is accepted twice. Clients prove no coin here.

use std::collections::BTreeSet;

use rke_proto::derive::{self, ShareKind};
use rke_proto::tunnel::nonces::Nonce;
use rke_proto::tunnel::packet::{self, NONCE_LEN};
use rke_proto::tunnel::{
    ClientKeyId, Covered, Handshake, HandshakeNonce, NonceMemory, PacketHeader, Response, SessionIdentifier,
};
use rke_proto::{Bitmap, Form, KeyContext, Status};
use rke_secret::{Secret, SecretError};
use sha2::{Digest, Sha256};

use super::counters::Evicted;
use super::ending::{EndNotifier, EndWatcher, Ending};
use super::limits::{Limits, Owner, Store};
use super::{Known, Reception, ReceptionPolicy, cs_ids};
use crate::audit::{ServerAudit, ServerEvent};
use crate::content_server::ServedKeySet;
use crate::replay::SHARES;

/// Random bytes that a response may consume: a packet's nonce, and the server nonce inside it.
pub const REPLY_RANDOM_LEN: usize = NONCE_LEN + 16;

/// How to handle a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// Send this; more packets may follow.
    Response(Vec<u8>),
    /// Send this and close.
    Refuse(Vec<u8>),
    /// Data for the application, of the key with this id.
    Data(ClientKeyId, Vec<u8>),
}

/// An agreed key.
struct Established {
    key: Secret<32>,
    nonce: HandshakeNonce,
    session: SessionIdentifier,
    /// Of the whole handshake, to recognise a retransmission.
    handshake_hash: [u8; 32],
    response: Vec<u8>,
    seen: NonceMemory,
    /// What the HMAC of the client's last packet covered: responses use the same form.
    covered: Covered,
    notifier: EndNotifier,
}

/// The keys of narrow shares. They have their own account, as large as that of other sessions without a proven coin.
pub(super) struct NarrowKeys {
    keys: Store<ClientKeyId, Established>,
    /// The nonces of completed handshakes, by their timestamps. They outlive their keys, for as long as the same
    /// handshake would be accepted again.
    handshakes: BTreeSet<(u64, [u8; NONCE_LEN])>,
    /// The limit on their number.
    most_handshakes: usize,
    skew_seconds: u64,
}

impl NarrowKeys {
    pub(super) fn new(rules: &ReceptionPolicy) -> Self {
        let (keys, handshakes) = (Store::new(limits(rules)), BTreeSet::new());
        let most_handshakes = rules.replay_memory / SHARES;
        Self { keys, handshakes, most_handshakes, skew_seconds: rules.skew_seconds }
    }

    /// Replaces the limits on keys.
    pub(super) fn set_limits(&mut self, rules: &ReceptionPolicy) {
        self.keys.set_limits(limits(rules));
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn sweep(&mut self, now: u64, audit: &ServerAudit) {
        for (_, place) in self.keys.take_expired(now) {
            audit.record(ServerEvent::LiveSessionEnded { how: "expired" });
            place.value.notifier.end(Ending::Expired);
        }
        let is_stale = |timestamp: u64| timestamp.saturating_add(self.skew_seconds) < now;
        while self.handshakes.first().is_some_and(|(timestamp, _)| is_stale(*timestamp)) {
            self.handshakes.pop_first();
        }
    }

    /// Wipes all keys, and cuts their connections.
    pub(super) fn drop_all(&mut self, audit: &ServerAudit) {
        for (_, place) in self.keys.take_all() {
            audit.record(ServerEvent::LiveSessionEnded { how: "dropped" });
            place.value.notifier.end(Ending::Deleted);
        }
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }
}

fn limits(rules: &ReceptionPolicy) -> Limits {
    let most = rules.unproven_keys.min(rules.max_keys);
    Limits { per_coin: 0, unproven: most, all: most }
}

impl Reception {
    /// Handles the payload of a packet of envelope type 6, which is decrypted in place, at `now` in Unix seconds.
    pub fn receive_narrow(
        &mut self,
        header: &PacketHeader,
        payload: &mut [u8],
        now: u64,
        random: &[u8; REPLY_RANDOM_LEN],
    ) -> Reply {
        self.sweep(now);
        self.narrow.keys.touch(&header.key_id);
        let received = match self.narrow.keys.get_mut(&header.key_id) {
            Some(known) if header.nonce == known.nonce.to_bytes() => {
                Ok(known.repeat(header, payload, random))
            }
            Some(known) => known.open(header, payload).map(|data| Reply::Data(header.key_id, data)),
            None => self.shake_narrow_hands(header, payload, now, random),
        };
        received.unwrap_or_else(|status| refuse(status, header, random))
    }

    /// A packet of data for the client. `None` once its key is removed or used up.
    pub fn seal_narrow(
        &mut self,
        key_id: ClientKeyId,
        nonce: [u8; NONCE_LEN],
        data: &[u8],
    ) -> Option<Vec<u8>> {
        self.narrow.keys.touch(&key_id);
        let known = self.narrow.keys.get_mut(&key_id)?;
        let header = PacketHeader { payload_len: 0, key_id, nonce };
        if known.seen.note(&header) != Nonce::New {
            return None;
        }
        let (session, covered) = (known.session, known.covered);
        known.key.expose(|key| packet::seal_data(key, key_id, &session, nonce, data, covered)).ok()
    }

    /// The user of a key: the session identifier of its handshake, and the watcher for the connection.
    pub fn narrow_client(&self, key_id: ClientKeyId) -> Option<(SessionIdentifier, EndWatcher)> {
        let place = self.narrow.keys.get(&key_id)?;
        Some((place.value.session, place.value.notifier.subscribe()))
    }

    fn shake_narrow_hands(
        &mut self,
        header: &PacketHeader,
        payload: &[u8],
        now: u64,
        random: &[u8; REPLY_RANDOM_LEN],
    ) -> Result<Reply, Status> {
        let nonce = HandshakeNonce::decode(&header.nonce).map_err(|_| Status::UNKNOWN_KEY)?;
        // The nonce check comes first, so that data under a removed key is unknown: its nonce is random.
        let set = self.known.narrow_set(&nonce, now)?;
        if nonce.bitmap.count() < self.known.rules.required {
            return Err(Status::BAD_PARAMETER);
        }
        let (key, Handshake { session, .. }) = open_handshake(set, &nonce, header, payload)?;
        let made = (nonce.timestamp, header.nonce);
        let is_full = self.narrow.handshakes.len() >= self.narrow.most_handshakes;
        let refused = is_full || self.narrow.handshakes.contains(&made);
        let lifetime = self.known.rules.lifetime();
        let status = if refused { Status::BAD_PARAMETER } else { Status::SUCCESS };
        let response = response(status, nonce.bitmap, if refused { 0 } else { lifetime }, random);
        let response = key.expose(|key| response.seal(key, header.key_id, packet_nonce(random)));
        if refused {
            return Ok(Reply::Refuse(response));
        }
        let mut seen = NonceMemory::default();
        seen.note(header);
        seen.note(&PacketHeader { nonce: packet_nonce(random), ..*header });
        let (handshake_hash, covered, notifier) =
            (hash(header, payload), Covered::default(), EndNotifier::new());
        let reply = response.clone();
        let established =
            Established { key, nonce, session, handshake_hash, response, seen, covered, notifier };
        self.narrow.handshakes.insert(made);
        self.audit.record(ServerEvent::LiveSessionOpened);
        self.keep_narrow(header.key_id, established, now.saturating_add(lifetime.into()));
        Ok(Reply::Response(reply))
    }

    fn keep_narrow(&mut self, key_id: ClientKeyId, established: Established, expires_at: u64) {
        for (_, place) in self.narrow.keys.insert(key_id, established, Owner::Unproven, expires_at) {
            self.counters.evictions.add(Evicted::LiveKey);
            tracing::info!("a live session's key made room for another; it had been unused for longest");
            self.audit.record(ServerEvent::LiveSessionEnded { how: "evicted" });
            place.value.notifier.end(Ending::Evicted);
        }
    }
}

impl Known {
    /// The key set that a nonce refers to.
    fn narrow_set(&self, nonce: &HandshakeNonce, now: u64) -> Result<&ServedKeySet, Status> {
        let is_stale = nonce.timestamp.abs_diff(now) > self.rules.skew_seconds;
        let is_meant = |set: &&ServedKeySet| {
            cs_ids(set).iter().any(|cs_id| nonce.matches_id_prefix(cs_id))
                && nonce.key_set == set.secrets.key_set()
                && set.form == Form::Live
                && set.retires_at.is_none_or(|retires_at| now < retires_at)
        };
        let set = self.key_sets.iter().find(is_meant).filter(|set| self.serves(set.form) && !is_stale);
        set.ok_or(Status::UNKNOWN_KEY)
    }
}

impl Established {
    /// The same handshake gets the same response; a different one under the same key gets none.
    fn repeat(&self, header: &PacketHeader, payload: &[u8], random: &[u8; REPLY_RANDOM_LEN]) -> Reply {
        match hash(header, payload) == self.handshake_hash {
            true => Reply::Response(self.response.clone()),
            false => refuse(Status::BAD_PARAMETER, header, random),
        }
    }

    fn open(&mut self, header: &PacketHeader, payload: &mut [u8]) -> Result<Vec<u8>, Status> {
        let open = |key: &[u8; 32]| {
            let opened = packet::open_data(key, header, &self.session, payload);
            opened.map(|(data, covered)| (data.to_vec(), covered))
        };
        let (data, covered) = self.key.expose(open).map_err(|_| Status::UNKNOWN_KEY)?;
        self.covered = covered;
        match self.seen.note(header) {
            Nonce::New => Ok(data),
            Nonce::Seen | Nonce::UsedUp => Err(Status::BAD_PARAMETER),
        }
    }
}

/// The key of a handshake, and its content. The nonce holds only a few bytes of the Content Server ID, which may not
/// show whether the client converted it to lower case.
fn open_handshake(
    set: &ServedKeySet,
    nonce: &HandshakeNonce,
    header: &PacketHeader,
    payload: &[u8],
) -> Result<(Secret<32>, Handshake), Status> {
    for cs_id in cs_ids(set).into_iter().filter(|cs_id| nonce.matches_id_prefix(cs_id)) {
        let key = key_of(set, &nonce.context(cs_id), nonce.bitmap).map_err(no_memory)?;
        if let Ok(handshake) = key.expose(|key| Handshake::open(key, header, payload)) {
            return Ok((key, handshake));
        }
    }
    Err(Status::UNKNOWN_KEY)
}

pub(super) fn key_of(
    set: &ServedKeySet,
    context: &KeyContext,
    bitmap: Bitmap,
) -> Result<Secret<32>, SecretError> {
    let shares = set.secrets.shares(context, ShareKind::Narrow, bitmap)?;
    derive::narrow_key_from_shares(shares.iter().map(|(_, share)| share), context)
}

fn response(status: Status, bitmap: Bitmap, lifetime: u32, random: &[u8; REPLY_RANDOM_LEN]) -> Response {
    let mut server_nonce = [0; 16];
    server_nonce.copy_from_slice(&random[NONCE_LEN..]);
    Response { status, server_nonce, lifetime, bitmap }
}

/// A response in the clear, because no key was agreed.
fn refuse(status: Status, header: &PacketHeader, random: &[u8; REPLY_RANDOM_LEN]) -> Reply {
    let response = response(status, Bitmap::default(), 0, random);
    Reply::Refuse(response.in_clear(header.key_id, packet_nonce(random)))
}

fn packet_nonce(random: &[u8; REPLY_RANDOM_LEN]) -> [u8; NONCE_LEN] {
    *random.first_chunk().unwrap_or_else(|| unreachable!("there is room for a nonce"))
}

fn hash(header: &PacketHeader, payload: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(header.to_bytes()).chain_update(payload).finalize().into()
}

fn no_memory(error: SecretError) -> Status {
    tracing::error!(%error, "a client could not be served");
    Status::BAD_PARAMETER
}
