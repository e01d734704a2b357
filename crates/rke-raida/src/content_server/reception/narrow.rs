//! Envelope type 6: keys of narrow shares, as the live network has them. `docs/protocol.md` section 8. Each handshake
//! makes its key at once, one key makes one handshake, and no packet is taken twice. Nobody proves a coin here.

use std::collections::BTreeSet;

use rke_proto::derive::{self, ShareKind};
use rke_proto::tunnel::nonces::Nonce;
use rke_proto::tunnel::packet::{self, NONCE_LEN};
use rke_proto::tunnel::{
    Answer, ClientKeyId, Covered, Handshake, HandshakeNonce, NonceMemory, PacketHeader, SessionIdentifier,
};
use rke_proto::{Bitmap, Form, KeyContext, Status};
use rke_secret::{Secret, SecretError};
use sha2::{Digest, Sha256};

use super::limits::{Limits, Owner, Store};
use super::line::{Ending, Line, OnLine};
use super::{Known, Reception, Rules, cs_ids};
use crate::content_server::ServedKeySet;
use crate::replay::SHARES;

/// Random bytes that an answer may consume: a packet's nonce, and the server nonce in it.
pub const REPLY_RANDOM_LEN: usize = NONCE_LEN + 16;

/// What is to be done about a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    /// Send this; more may come.
    Answer(Vec<u8>),
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
    /// Of the whole handshake, to know it again when it is sent again.
    handshake_hash: [u8; 32],
    answer: Vec<u8>,
    seen: NonceMemory,
    /// What the HMAC of the client's last packet covered: it is answered in kind.
    covered: Covered,
    line: Line,
}

/// The keys of narrow shares. They have an account of their own, as large as that of other sessions without a proven
/// coin.
pub(super) struct NarrowKeys {
    keys: Store<ClientKeyId, Established>,
    /// The nonces of the handshakes that were made, by their timestamps. They outlive their keys, for as long as the
    /// same handshake would be taken again.
    handshakes: BTreeSet<(u64, [u8; NONCE_LEN])>,
    /// Most of them.
    most_handshakes: usize,
    skew_seconds: u64,
}

impl NarrowKeys {
    pub(super) fn new(rules: &Rules) -> Self {
        let most = rules.unproven_keys.min(rules.max_keys);
        let limits = Limits { per_coin: 0, unproven: most, all: most };
        let (keys, handshakes) = (Store::new(limits), BTreeSet::new());
        let most_handshakes = rules.replay_memory / SHARES;
        Self { keys, handshakes, most_handshakes, skew_seconds: rules.skew_seconds }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    pub(super) fn sweep(&mut self, now: u64) {
        for (_, place) in self.keys.take_expired(now) {
            place.value.line.end(Ending::Expired);
        }
        let is_stale = |timestamp: u64| timestamp.saturating_add(self.skew_seconds) < now;
        while self.handshakes.first().is_some_and(|(timestamp, _)| is_stale(*timestamp)) {
            self.handshakes.pop_first();
        }
    }

    pub(super) fn clear(&mut self) {
        self.keys.clear();
    }
}

impl Reception {
    /// Takes in the payload of a packet of envelope type 6, which is decrypted where it lies, at `now` in Unix seconds.
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

    /// A packet of data for the client. `None` once its key is gone or used up.
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

    /// Who uses a key: the session identifier of its handshake, and what the connection hangs on.
    pub fn narrow_client(&self, key_id: ClientKeyId) -> Option<(SessionIdentifier, OnLine)> {
        let place = self.narrow.keys.get(&key_id)?;
        Some((place.value.session, place.value.line.join()))
    }

    fn shake_narrow_hands(
        &mut self,
        header: &PacketHeader,
        payload: &[u8],
        now: u64,
        random: &[u8; REPLY_RANDOM_LEN],
    ) -> Result<Reply, Status> {
        let nonce = HandshakeNonce::decode(&header.nonce).map_err(|_| Status::UNKNOWN_KEY)?;
        // First of all, so that data under a key that is gone is unknown: its nonce is random.
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
        let answer = answer(status, nonce.bitmap, if refused { 0 } else { lifetime }, random);
        let answer = key.expose(|key| answer.seal(key, header.key_id, packet_nonce(random)));
        if refused {
            return Ok(Reply::Refuse(answer));
        }
        let mut seen = NonceMemory::default();
        seen.note(header);
        seen.note(&PacketHeader { nonce: packet_nonce(random), ..*header });
        let (handshake_hash, covered, line) = (hash(header, payload), Covered::default(), Line::new());
        let reply = answer.clone();
        let established = Established { key, nonce, session, handshake_hash, answer, seen, covered, line };
        self.narrow.handshakes.insert(made);
        self.keep_narrow(header.key_id, established, now.saturating_add(lifetime.into()));
        Ok(Reply::Answer(reply))
    }

    fn keep_narrow(&mut self, key_id: ClientKeyId, established: Established, expires_at: u64) {
        for (_, place) in self.narrow.keys.insert(key_id, established, Owner::Unproven, expires_at) {
            tracing::info!("a live session's key made room for another; it had been unused for longest");
            place.value.line.end(Ending::GivenUp);
        }
    }
}

impl Known {
    /// The key set that a nonce means.
    fn narrow_set(&self, nonce: &HandshakeNonce, now: u64) -> Result<&ServedKeySet, Status> {
        let is_stale = nonce.timestamp.abs_diff(now) > self.rules.skew_seconds;
        let is_meant = |set: &&ServedKeySet| {
            cs_ids(set).iter().any(|cs_id| nonce.may_mean(cs_id))
                && nonce.key_set == set.secrets.key_set()
                && set.form == Form::Live
                && set.retires_at.is_none_or(|retires_at| now < retires_at)
        };
        let set = self.key_sets.iter().find(is_meant).filter(|set| self.serves(set.form) && !is_stale);
        set.ok_or(Status::UNKNOWN_KEY)
    }
}

impl Established {
    /// The same handshake gets the same answer; another one under the same key gets none.
    fn repeat(&self, header: &PacketHeader, payload: &[u8], random: &[u8; REPLY_RANDOM_LEN]) -> Reply {
        match hash(header, payload) == self.handshake_hash {
            true => Reply::Answer(self.answer.clone()),
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

/// The key that a handshake is under, and what it says. The few bytes of the Content Server ID in the nonce may not show
/// whether the client has lower-cased it.
fn open_handshake(
    set: &ServedKeySet,
    nonce: &HandshakeNonce,
    header: &PacketHeader,
    payload: &[u8],
) -> Result<(Secret<32>, Handshake), Status> {
    for cs_id in cs_ids(set).into_iter().filter(|cs_id| nonce.may_mean(cs_id)) {
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

fn answer(status: Status, bitmap: Bitmap, lifetime: u32, random: &[u8; REPLY_RANDOM_LEN]) -> Answer {
    let mut server_nonce = [0; 16];
    server_nonce.copy_from_slice(&random[NONCE_LEN..]);
    Answer { status, server_nonce, lifetime, bitmap }
}

/// An answer in the clear: no key was agreed.
fn refuse(status: Status, header: &PacketHeader, random: &[u8; REPLY_RANDOM_LEN]) -> Reply {
    let answer = answer(status, Bitmap::default(), 0, random);
    Reply::Refuse(answer.in_clear(header.key_id, packet_nonce(random)))
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
