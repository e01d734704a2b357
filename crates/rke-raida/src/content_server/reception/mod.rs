//! Who comes in: handshakes, share checks and forgetting, as a value without a socket or a clock. `docs/protocol.md`
//! sections 7 and 8. It keeps sessions' keys and resumptions for their lifetime, and takes no first packet twice.
//!
//! Nothing is kept, counted or given up before a record of the client has opened: [`Reception::receive`] gives what the
//! handshake would open ([`Pending`]), and [`Reception::establish`] and [`Reception::attach`] take it once it has.

mod forget;
mod handshake;
mod limits;
mod line;
mod narrow;
mod rules;
mod share_check;

use std::sync::Arc;

use rke_proto::coin::{CoinId, CoinPair};
use rke_proto::derive::{ShareKind, ShareWidth};
use rke_proto::handshake::kem::EncapsulationSeeds;
use rke_proto::handshake::{
    ExchangePrologue, FirstPacket, ID_LEN, KeyId, Reason, Response, ResumptionId, SessionSecrets, Transport,
};
use rke_proto::{ContentServerId, DecodeError, Form, KeyContext, RaidaIndex};
use rke_secret::{Secret, SecretError};

pub use line::{Closing, Ending, OnLine};
pub use narrow::{REPLY_RANDOM_LEN, Reply};
pub use rules::{MAX_LIFETIME_SECONDS, Rules};

use super::ServedKeySet;
use crate::replay::ReplayMemory;
use forget::Gone;
use limits::{Limits, Owner, Store};
use line::Line;
use narrow::NarrowKeys;

/// Seconds that first packets without a timestamp are remembered.
const REMEMBERED_SECONDS: u64 = 600;

/// For each key that may be kept, this many that are gone are remembered, so that a repeated `forget` still gets its proof.
const GONE_FOR_EACH: usize = 4;

/// What a handshake consumes.
pub struct Fresh {
    /// For the key encapsulation.
    pub seeds: EncapsulationSeeds,
    /// The name of a resumption that may be given.
    pub resumption: ResumptionId,
}

impl Fresh {
    /// From the system's generator.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn random() -> Result<Self, SecretError> {
        let mut id = [0; ID_LEN];
        getrandom::fill(&mut id)?;
        Ok(Self { seeds: EncapsulationSeeds::random()?, resumption: ResumptionId(id) })
    }
}

/// What is to be done about a first packet.
pub enum Outcome {
    /// Send this and close.
    Respond(Response),
    /// Send this once the connections of the key that is gone have ended, and close.
    Forgotten(Response, Closing),
    /// Send the response and wait for the client's first record.
    Accepted(Box<Pending>),
}

/// A handshake whose client has not shown that it has the key.
pub struct Pending {
    /// What to send.
    pub response: Response,
    /// For the records.
    pub transport: Transport,
    /// Ends when the key or the resumption that it hangs on does.
    pub line: Option<OnLine>,
    /// What the first record opens.
    pub opens: Opens,
}

/// What a handshake opens.
pub enum Opens {
    /// Kinds 1 and 2: a session, for [`Reception::establish`].
    Session(NewSession),
    /// Kind 5: the data of an application, for [`Reception::attach`].
    Tunnel(KeyId),
}

/// A session that is not kept yet.
pub struct NewSession {
    secrets: SessionSecrets,
    origin: Arc<Origin>,
    expires_at: u64,
    how: How,
}

/// How a session is opened.
enum How {
    /// By an exchange, which also gives this resumption.
    Exchange(ResumptionId),
    /// By this resumption.
    Resumption(ResumptionId),
}

/// What a session's key and its resumption come from. They are good for nothing else.
struct Origin {
    cs_id: ContentServerId,
    domain: String,
    /// A coin that the client has proven: the first where there are several.
    coin: Option<CoinId>,
}

/// On whose account a session with this proven coin is kept.
fn owner(coin: Option<CoinId>) -> Owner {
    coin.map_or(Owner::Unproven, Owner::Coin)
}

/// A secret that is kept, and what hangs on it.
struct Kept {
    secret: Secret<32>,
    origin: Arc<Origin>,
    line: Line,
}

/// Who attaches to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The name of the session's key.
    pub key_id: KeyId,
    /// The domain that the session was opened for.
    pub domain: String,
    /// The coin that it has proven, if any.
    pub coin: Option<CoinId>,
}

/// On whose account a first packet is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Owner(Owner),
    Resumption(ResumptionId),
    Key(KeyId),
}

type Replays = ReplayMemory<Holder, [u8; 32], ()>;

/// What a client can refer to.
struct Known {
    rules: Rules,
    key_sets: Vec<ServedKeySet>,
    keys: Store<KeyId, Kept>,
    resumptions: Store<ResumptionId, Kept>,
}

/// The keys that were agreed on, and the key sets from which more can be.
pub struct Reception {
    known: Known,
    gone: Store<[u8; ID_LEN], Gone>,
    replays: Replays,
    narrow: NarrowKeys,
}

impl Reception {
    /// No keys yet.
    pub fn new(rules: Rules, key_sets: Vec<ServedKeySet>) -> Self {
        let limits =
            Limits { per_coin: rules.keys_per_coin, unproven: rules.unproven_keys, all: rules.max_keys };
        let gone = rules.max_keys.saturating_mul(GONE_FOR_EACH);
        // An owner that forgets much takes no other's proofs away.
        let gone = Limits { per_coin: gone / 16, unproven: gone / 16, all: gone };
        let (replays, narrow) = (Replays::new(rules.replay_memory), NarrowKeys::new(&rules));
        let (keys, resumptions) = (Store::new(limits), Store::new(limits));
        Self { known: Known { rules, key_sets, keys, resumptions }, gone: Store::new(gone), replays, narrow }
    }

    /// Other key sets from here on. Keys that were agreed on stay.
    pub fn set_key_sets(&mut self, key_sets: Vec<ServedKeySet>) {
        self.known.key_sets = key_sets;
    }

    /// How many sessions' keys are kept.
    pub fn len(&self) -> usize {
        self.known.keys.len() + self.narrow.len()
    }

    /// Whether no session's key is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many resumptions are kept.
    pub fn resumptions(&self) -> usize {
        self.known.resumptions.len()
    }

    /// Takes in what a client opens a connection with, at `now` in Unix seconds.
    ///
    /// # Errors
    /// [`DecodeError`]: close without an answer.
    pub fn receive(&mut self, packet: &[u8], now: u64, fresh: &Fresh) -> Result<Outcome, DecodeError> {
        let first = FirstPacket::decode(packet)?;
        self.sweep(now);
        let (what, outcome) = match first {
            FirstPacket::Handshake { prologue, raw, message } => {
                ("a handshake", self.shake_hands(&prologue, raw, message, now, fresh))
            }
            FirstPacket::ShareCheck(check) => {
                ("a share check", self.check_shares(&check, now).map(Outcome::Respond))
            }
            FirstPacket::Forget(forget) => ("a request to forget", self.forget(&forget)),
        };
        Ok(outcome.unwrap_or_else(|reason| {
            tracing::debug!(%reason, "{what} was refused");
            Outcome::Respond(Response::Refused(reason))
        }))
    }

    /// Forgets what has expired at `now`: it is wiped, and the connections of these keys are broken off.
    pub fn sweep(&mut self, now: u64) {
        for (key_id, place) in self.known.keys.take_expired(now) {
            tracing::debug!(%key_id, "a session's key has expired");
            place.value.line.end(Ending::Expired);
        }
        for (_, place) in self.known.resumptions.take_expired(now) {
            place.value.line.end(Ending::Expired);
        }
        self.gone.take_expired(now);
        self.narrow.sweep(now);
    }

    /// Forgets all keys and resumptions; they are wiped.
    pub fn clear(&mut self) {
        self.known.keys.clear();
        self.known.resumptions.clear();
        self.narrow.clear();
    }

    /// A session's key has been used: others go before it.
    pub fn touch(&mut self, key_id: &KeyId) {
        self.known.keys.touch(key_id);
    }
}

impl Known {
    /// Whether key sets of this form are served.
    fn serves(&self, form: Form) -> bool {
        form == Form::Wide || self.rules.allow_narrow
    }

    /// The key set that an exchange by handshake 3 means, with the refusals 2, 8 and 1 in their order.
    fn key_set(&self, context: &KeyContext, now: u64) -> Result<&ServedKeySet, Reason> {
        let is_meant = |set: &&ServedKeySet| {
            set.secrets.key_set() == context.key_set
                && cs_ids(set).contains(&context.cs_id)
                && self.serves(set.form)
                && set.form.is_handshake_3()
        };
        let set = self.key_sets.iter().find(is_meant).ok_or(Reason::NoSuchKeySet)?;
        if set.retires_at.is_some_and(|retires_at| retires_at <= now) {
            return Err(Reason::Retired);
        }
        match context.timestamp.abs_diff(now) > self.rules.skew_seconds {
            true => Err(Reason::Stale),
            false => Ok(set),
        }
    }
}

/// The Content Server IDs by which clients mean a key set: some of the public network lower-case it. Shares are derived with
/// the one that the client has used, under which the RAIDAs have given them.
fn cs_ids(set: &ServedKeySet) -> Vec<ContentServerId> {
    let own = set.secrets.cs_id();
    let mut cs_ids = vec![own];
    if set.form.share_width() == ShareWidth::Narrow && own.lower_case() != own {
        cs_ids.push(own.lower_case());
    }
    cs_ids
}

/// The shares that an exchange names, each bound to the coins of its group, in the order of their RAIDAs.
fn shares_of(
    set: &ServedKeySet,
    exchange: &ExchangePrologue,
) -> Result<Vec<(RaidaIndex, Secret<32>)>, SecretError> {
    let mut shares = Vec::with_capacity(exchange.raidas().count());
    for group in exchange.groups() {
        shares.extend(set.secrets.shares(&exchange.context, kind_of(set, group.coins), group.raidas)?);
    }
    shares.sort_by_key(|(raida, _)| *raida);
    Ok(shares)
}

fn kind_of(set: &ServedKeySet, coins: CoinPair) -> ShareKind {
    match set.form.share_width() {
        ShareWidth::Narrow => ShareKind::Narrow,
        ShareWidth::Wide => ShareKind::Wide(coins),
    }
}

fn no_memory(error: SecretError) -> Reason {
    tracing::error!(%error, "a client could not be served");
    Reason::Busy
}

#[cfg(test)]
mod tests;
