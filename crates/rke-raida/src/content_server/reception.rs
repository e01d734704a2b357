//! Who comes in: handshakes, share checks and packets of data, as a value without a socket or a
//! clock. `docs/protocol.md` section 7. It keeps each agreed key for its lifetime, takes one handshake
//! for each key, and no packet twice.

use std::collections::{BTreeSet, HashMap};

use rke_proto::coin::CoinId;
use rke_proto::derive::{self, ShareWidth};
use rke_proto::tunnel::nonces::Nonce;
use rke_proto::tunnel::packet::{self, NONCE_LEN};
use rke_proto::tunnel::share_check::ShareCheck;
use rke_proto::tunnel::{
    Answer, ClientKeyId, Handshake, HandshakeNonce, NonceMemory, PacketHeader, SessionIdentifier,
};
use rke_proto::{Bitmap, KeyContext, MIN_REQUIRED, Status};
use rke_secret::{Secret, SecretError};
use sha2::{Digest, Sha256};

use super::ServedKeySet;

/// Random bytes that an answer may consume: a packet's nonce, and the server nonce in it.
pub const REPLY_RANDOM_LEN: usize = NONCE_LEN + 16;

/// What a Content Server takes.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// The fewest shares that make a key.
    pub required: usize,
    /// Seconds that a handshake's timestamp may differ from the clock.
    pub skew_seconds: u64,
    /// Seconds that a key is kept.
    pub lifetime_seconds: u32,
    /// Most keys at one time.
    pub max_keys: usize,
    /// The narrowest shares that are taken.
    pub narrowest: ShareWidth,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            required: MIN_REQUIRED.into(),
            skew_seconds: 300,
            lifetime_seconds: 24 * 3600,
            max_keys: 10_000,
            narrowest: ShareWidth::Wide,
        }
    }
}

/// What is to be done about a packet.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
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
    coin: CoinId,
    /// Of the whole handshake, to know it again when it is sent again.
    handshake_hash: [u8; 32],
    answer: Vec<u8>,
    seen: NonceMemory,
}

/// The keys that were agreed on, and the key sets from which more can be.
pub struct Reception {
    rules: Rules,
    key_sets: Vec<ServedKeySet>,
    keys: HashMap<ClientKeyId, Established>,
    /// One key makes one handshake: the nonces of those that were made, by their timestamps. They
    /// outlive their keys, for as long as the same handshake would be taken again.
    handshakes: BTreeSet<(u64, [u8; NONCE_LEN])>,
    expiries: BTreeSet<(u64, ClientKeyId)>,
}

impl Reception {
    /// No keys yet.
    pub fn new(rules: Rules, key_sets: Vec<ServedKeySet>) -> Self {
        let (keys, handshakes, expiries) = (HashMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { rules, key_sets, keys, handshakes, expiries }
    }

    /// Other key sets from here on. Keys that were agreed on stay.
    pub fn set_key_sets(&mut self, key_sets: Vec<ServedKeySet>) {
        self.key_sets = key_sets;
    }

    /// How many keys are kept.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether no key is kept.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Forgets the keys whose lifetime is over; they are wiped.
    pub fn sweep(&mut self, now: u64) {
        while let Some((expires_at, key_id)) = self.expiries.first().copied() {
            if expires_at > now {
                break;
            }
            self.expiries.pop_first();
            self.keys.remove(&key_id);
        }
        let is_stale = |timestamp: u64| timestamp.saturating_add(self.rules.skew_seconds) < now;
        while self.handshakes.first().is_some_and(|(timestamp, _)| is_stale(*timestamp)) {
            self.handshakes.pop_first();
        }
    }

    /// Forgets all keys; they are wiped. Their handshakes stay known.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.expiries.clear();
    }

    /// Takes in the payload of a packet, which is decrypted where it lies.
    pub fn receive(
        &mut self,
        header: &PacketHeader,
        payload: &mut [u8],
        now: u64,
        random: &[u8; REPLY_RANDOM_LEN],
    ) -> Outcome {
        self.sweep(now);
        let received = match self.keys.get_mut(&header.key_id) {
            _ if header.key_id == ClientKeyId::SHARE_CHECK => self.check_shares(header, payload, now, random),
            Some(known) if header.nonce == known.nonce.to_bytes() => {
                Ok(known.repeat(header, payload, random))
            }
            Some(known) => known.open(header, payload).map(|data| Outcome::Data(header.key_id, data)),
            None => self.shake_hands(header, payload, now, random),
        };
        received.unwrap_or_else(|status| {
            let bitmap = Bitmap::default();
            Outcome::Refuse(self.answer(status, bitmap, random).in_clear(header.key_id, packet_nonce(random)))
        })
    }

    /// A packet of data for the client. `None` once its key is gone or used up.
    pub fn seal(&mut self, key_id: ClientKeyId, nonce: [u8; NONCE_LEN], data: &[u8]) -> Option<Vec<u8>> {
        let known = self.keys.get_mut(&key_id)?;
        let header = PacketHeader { payload_len: 0, key_id, nonce };
        if known.seen.note(&header) != Nonce::New {
            return None;
        }
        let session = known.session;
        known.key.expose(|key| packet::seal_data(key, key_id, &session, nonce, data)).ok()
    }

    /// Who uses a key: the session identifier and the coin of its handshake.
    pub fn client(&self, key_id: ClientKeyId) -> Option<(SessionIdentifier, CoinId)> {
        self.keys.get(&key_id).map(|known| (known.session, known.coin))
    }

    /// The key set that a nonce means, and what its key is made for.
    fn find(&self, nonce: &HandshakeNonce, now: u64) -> Result<(&ServedKeySet, KeyContext), Status> {
        if nonce.timestamp.abs_diff(now) > self.rules.skew_seconds {
            return Err(Status::UNKNOWN_KEY);
        }
        let served = self.key_sets.iter().find(|set| {
            let is_meant = nonce.may_mean(&set.secrets.cs_id()) && nonce.key_id == set.secrets.key_id();
            is_meant && set.retires_at.is_none_or(|retires_at| now < retires_at)
        });
        let set = served.ok_or(Status::UNKNOWN_KEY)?;
        Ok((set, nonce.context(set.secrets.cs_id())))
    }

    fn shake_hands(
        &mut self,
        header: &PacketHeader,
        payload: &[u8],
        now: u64,
        random: &[u8; REPLY_RANDOM_LEN],
    ) -> Result<Outcome, Status> {
        let nonce = HandshakeNonce::decode(&header.nonce).map_err(|_| Status::UNKNOWN_KEY)?;
        // First of all, so that data under a key that is gone is unknown: its nonce is random.
        let (set, context) = self.find(&nonce, now)?;
        if nonce.bitmap.count() < self.rules.required {
            return Err(Status::BAD_PARAMETER);
        }
        let (key, handshake) = self.agree(set, &context, &nonce, header, payload)?;
        let made = (nonce.timestamp, header.nonce);
        let refused = self.handshakes.contains(&made) || self.keys.len() >= self.rules.max_keys;
        let status = if refused { Status::BAD_PARAMETER } else { Status::SUCCESS };
        let answer = self.answer(status, nonce.bitmap, random);
        let answer = key.expose(|key| answer.seal(key, header.key_id, packet_nonce(random)));
        if refused {
            return Ok(Outcome::Refuse(answer));
        }
        let expires_at = now.saturating_add(self.rules.lifetime_seconds.into());
        let mut seen = NonceMemory::default();
        seen.note(header);
        seen.note(&PacketHeader { nonce: packet_nonce(random), ..*header });
        let Handshake { coin, session } = handshake;
        let handshake_hash = hash(header, payload);
        let (reply, key_id) = (answer.clone(), header.key_id);
        let established = Established { key, nonce, session, coin, handshake_hash, answer, seen };
        self.keys.insert(key_id, established);
        self.handshakes.insert(made);
        self.expiries.insert((expires_at, key_id));
        Ok(Outcome::Answer(reply))
    }

    /// The key of a handshake that is sealed under it, from shares of any width that is taken.
    fn agree(
        &self,
        set: &ServedKeySet,
        context: &KeyContext,
        nonce: &HandshakeNonce,
        header: &PacketHeader,
        payload: &[u8],
    ) -> Result<(Secret<32>, Handshake), Status> {
        let widths: &[ShareWidth] = match self.rules.narrowest {
            ShareWidth::Wide => &[ShareWidth::Wide],
            ShareWidth::Narrow => &[ShareWidth::Wide, ShareWidth::Narrow],
        };
        for width in widths {
            let key = set.secrets.session_key(context, *width, nonce.bitmap).map_err(no_memory)?;
            if let Ok(handshake) = key.expose(|key| Handshake::open(key, header, payload)) {
                return Ok((key, handshake));
            }
        }
        Err(Status::UNKNOWN_KEY)
    }

    fn check_shares(
        &self,
        header: &PacketHeader,
        payload: &[u8],
        now: u64,
        random: &[u8; REPLY_RANDOM_LEN],
    ) -> Result<Outcome, Status> {
        let nonce = HandshakeNonce::decode(&header.nonce).map_err(|_| Status::UNKNOWN_KEY)?;
        let check = ShareCheck::decode(payload).map_err(|_| Status::BAD_PARAMETER)?;
        let (set, context) = self.find(&nonce, now)?;
        let mut shares = set.secrets.shares(&context, ShareWidth::Wide, nonce.bitmap).map_err(no_memory)?;
        let honest = check.matching(&nonce, shares.iter().map(|(raida, share)| (*raida, share)));
        if honest.count() < self.rules.required {
            let answer = self.answer(Status::BAD_PARAMETER, honest, random);
            return Ok(Outcome::Answer(answer.in_clear(ClientKeyId::SHARE_CHECK, packet_nonce(random))));
        }
        shares.retain(|(raida, _)| honest.contains(*raida));
        let shares = shares.iter().map(|(_, share)| share);
        let key = derive::key_from_shares(shares, ShareWidth::Wide, &context, honest).map_err(no_memory)?;
        let answer = self.answer(Status::SUCCESS, honest, random);
        Ok(Outcome::Answer(key.expose(|key| answer.in_clear_with_hmac(key, packet_nonce(random)))))
    }

    fn answer(&self, status: Status, bitmap: Bitmap, random: &[u8; REPLY_RANDOM_LEN]) -> Answer {
        let mut server_nonce = [0; 16];
        server_nonce.copy_from_slice(&random[NONCE_LEN..]);
        let lifetime = if status == Status::SUCCESS { self.rules.lifetime_seconds } else { 0 };
        Answer { status, server_nonce, lifetime, bitmap }
    }
}

impl Established {
    /// The same handshake gets the same answer; another one under the same key gets none.
    fn repeat(&self, header: &PacketHeader, payload: &[u8], random: &[u8; REPLY_RANDOM_LEN]) -> Outcome {
        if hash(header, payload) == self.handshake_hash {
            return Outcome::Answer(self.answer.clone());
        }
        let (status, server_nonce) = (Status::BAD_PARAMETER, [0; 16]);
        let answer = Answer { status, server_nonce, lifetime: 0, bitmap: Bitmap::default() };
        Outcome::Refuse(answer.in_clear(header.key_id, packet_nonce(random)))
    }

    fn open(&mut self, header: &PacketHeader, payload: &mut [u8]) -> Result<Vec<u8>, Status> {
        let opened = self
            .key
            .expose(|key| packet::open_data(key, header, &self.session, payload).map(|data| data.to_vec()));
        let data = opened.map_err(|_| Status::UNKNOWN_KEY)?;
        match self.seen.note(header) {
            Nonce::New => Ok(data),
            Nonce::Seen | Nonce::UsedUp => Err(Status::BAD_PARAMETER),
        }
    }
}

fn packet_nonce(random: &[u8; REPLY_RANDOM_LEN]) -> [u8; NONCE_LEN] {
    *random.first_chunk().unwrap_or_else(|| unreachable!("there is room for a nonce"))
}

fn hash(header: &PacketHeader, payload: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(header.to_bytes()).chain_update(payload).finalize().into()
}

fn no_memory(error: SecretError) -> Status {
    tracing::error!(%error, "a client could not be answered");
    Status::BAD_PARAMETER
}

#[cfg(test)]
mod tests;
