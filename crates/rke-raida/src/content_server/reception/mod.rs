//! Admits clients: handshakes, share checks and requests to forget, as a value without a socket or a clock.
//! `docs/protocol.md` sections 7 and 8. It stores the keys and resumptions of sessions for their lifetime, and
//! accepts no first packet twice.
//!
//! Nothing is stored, counted or displaced before a record of the client has opened: [`Reception::receive`] returns
//! what the handshake would open ([`Pending`]), and [`Reception::establish`] and [`Reception::attach`] take it once
//! that record has arrived.

mod counters;
mod ending;
mod forget;
mod handshake;
mod limits;
mod narrow;
mod rules;
mod share_check;
mod shared;
mod uses;

use std::sync::Arc;

use rke_proto::coin::{CoinId, CoinPair};
use rke_proto::derive::{ShareKind, ShareWidth};
use rke_proto::handshake::kem::EncapsulationSeeds;
use rke_proto::handshake::{
    ExchangePrologue, FirstPacket, ID_LEN, KeyId, Reason, Response, ResumptionId, SessionSecrets, Transport,
};
use rke_proto::{Bitmap, ContentServerId, DecodeError, Form, KeyContext, RaidaIndex};
use rke_secret::{Secret, SecretError};

pub use ending::{Closing, EndWatcher, Ending};
pub use narrow::{REPLY_RANDOM_LEN, Reply};
pub use rules::{Keeper, MAX_LIFETIME_SECONDS, ReceptionPolicy};
pub(super) use shared::{About, SecretKind, SharedSecret, pack_proof, unpack_proof};

use super::ServedKeySet;
use crate::audit::{ServerAudit, ServerEvent};
use crate::replay::ReplayMemory;
use counters::Counters;
use ending::EndNotifier;
use forget::Gone;
use limits::{Limits, Owner, Store};
use narrow::NarrowKeys;
use uses::Uses;

/// Seconds for which first packets without a timestamp are remembered.
const REMEMBERED_SECONDS: u64 = 600;

/// For each key that fits in the store, this many removed ones are remembered, so that a repeated `forget` still
/// returns its proof.
const GONE_FOR_EACH: usize = 4;

/// The randomness that a handshake consumes.
pub struct Fresh {
    /// For the key encapsulation.
    pub seeds: EncapsulationSeeds,
    /// The id of a resumption that it may grant.
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

/// How to handle a first packet.
pub enum Outcome {
    /// Send this and close.
    Respond(Response),
    /// Send this once the connections of the removed key have closed, and close.
    Forgotten(Response, Closing),
    /// Send the response and wait for the client's first record.
    Accepted(Box<Pending>),
}

/// A handshake whose client has not proved yet that it has the key.
pub struct Pending {
    /// What to send.
    pub response: Response,
    /// The cipher states for the records.
    pub transport: Transport,
    /// Notified when the key or the resumption behind it is removed.
    pub watcher: Option<EndWatcher>,
    /// What the first record opens.
    pub opens: Opens,
    /// What must not be accepted again.
    memory: PacketMemory,
}

/// What a memory of first packets keeps of one.
struct PacketMemory {
    hash: [u8; 32],
    holders: Vec<Holder>,
    /// In Unix seconds.
    until: u64,
}

/// What a handshake opens.
pub enum Opens {
    /// Kinds 1 and 2: a session, for [`Reception::establish`].
    Session(NewSession),
    /// Kind 5: the data of an application, for [`Reception::attach`].
    Tunnel(KeyId),
}

/// A session that is not stored yet.
pub struct NewSession {
    secrets: SessionSecrets,
    origin: Arc<Origin>,
    expires_at: u64,
    how: How,
}

impl NewSession {
    /// The domain that it is for.
    pub fn domain(&self) -> &str {
        &self.origin.domain
    }

    /// A coin that the client has proved, the first of several.
    pub fn coin(&self) -> Option<CoinId> {
        self.origin.coin
    }
}

/// How a session is opened.
enum How {
    /// By an exchange, which also gives this resumption.
    Exchange(ResumptionId),
    /// By this resumption.
    Resumption(ResumptionId),
}

/// Where a session's key and its resumption come from. Both serve this domain and this coin only.
struct Origin {
    cs_id: ContentServerId,
    domain: String,
    /// A coin that the client has proved, the first of several.
    coin: Option<CoinId>,
    form: Form,
    /// The RAIDAs whose shares the exchange used.
    raidas: Bitmap,
}

/// The account of a session with this proven coin.
fn owner(coin: Option<CoinId>) -> Owner {
    coin.map_or(Owner::Unproven, Owner::Coin)
}

/// A stored secret, and the notifier for its connections.
struct Kept {
    secret: Secret<32>,
    origin: Arc<Origin>,
    notifier: EndNotifier,
    /// How its data keys were used. A resumption has none.
    uses: Uses,
}

impl Kept {
    fn new(secret: Secret<32>, origin: Arc<Origin>, uses: Uses) -> Self {
        Self { secret, origin, notifier: EndNotifier::new(), uses }
    }
}

/// A client that attaches to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The id of the session's key.
    pub key_id: KeyId,
    /// The domain that the session was opened for.
    pub domain: String,
    /// The coin that it has proved, if any.
    pub coin: Option<CoinId>,
}

/// The account that a remembered first packet counts on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Owner(Owner),
    Resumption(ResumptionId),
    Key(KeyId),
}

type Replays = ReplayMemory<Holder, [u8; 32], ()>;

/// What a client can refer to.
struct Known {
    rules: ReceptionPolicy,
    key_sets: Vec<ServedKeySet>,
    keys: Store<KeyId, Kept>,
    resumptions: Store<ResumptionId, Kept>,
}

/// The stored keys, and the key sets that new ones are agreed on with.
pub struct Reception {
    known: Known,
    gone: Store<[u8; ID_LEN], Gone>,
    replays: Replays,
    narrow: NarrowKeys,
    counters: Counters,
    audit: ServerAudit,
}

impl Reception {
    /// An empty store.
    pub fn new(rules: ReceptionPolicy, key_sets: Vec<ServedKeySet>) -> Self {
        let (limits, gone) = (limits_of(&rules), limits_of_gone(&rules));
        let (replays, narrow) = (Replays::new(rules.replay_memory), NarrowKeys::new(&rules));
        let (keys, resumptions) = (Store::new(limits), Store::new(limits));
        let (gone, counters, audit) = (Store::new(gone), Counters::default(), ServerAudit::default());
        Self { known: Known { rules, key_sets, keys, resumptions }, gone, replays, narrow, counters, audit }
    }

    /// The same, with an audit log.
    pub(crate) fn with_audit(self, audit: ServerAudit) -> Self {
        Self { audit, ..self }
    }

    /// Replaces the rules, except the number of remembered first packets and who keeps the keys. Stored keys stay: a lower
    /// limit holds from the next key on.
    pub fn set_rules(&mut self, rules: ReceptionPolicy) {
        let ReceptionPolicy { replay_memory, keeper, .. } = self.known.rules;
        let rules = ReceptionPolicy { replay_memory, keeper, ..rules };
        self.known.keys.set_limits(limits_of(&rules));
        self.known.resumptions.set_limits(limits_of(&rules));
        self.gone.set_limits(limits_of_gone(&rules));
        self.narrow.set_limits(&rules);
        self.known.rules = rules;
    }

    /// Replaces the key sets. Stored keys stay.
    pub fn set_key_sets(&mut self, key_sets: Vec<ServedKeySet>) {
        self.known.key_sets = key_sets;
    }

    /// The number of stored session keys.
    pub fn len(&self) -> usize {
        self.known.keys.len() + self.narrow.len()
    }

    /// Whether no session key is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of stored resumptions.
    pub fn resumptions(&self) -> usize {
        self.known.resumptions.len()
    }

    /// Handles the first packet of a connection, at `now` in Unix seconds.
    ///
    /// # Errors
    /// [`DecodeError`]: close without a response.
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

    /// Wipes what has expired at `now`, and cuts the connections of these keys.
    pub fn sweep(&mut self, now: u64) {
        for (key_id, place) in self.known.keys.take_expired(now) {
            tracing::debug!(%key_id, "a session's key has expired");
            // Of shared keys, the instance that removes them from the store records it.
            if self.known.rules.keeper == Keeper::Own {
                let domain = place.value.origin.domain.clone();
                self.audit.record_of(key_id.0, ServerEvent::SessionExpired { domain });
            }
            place.value.notifier.end(Ending::Expired);
        }
        for (_, place) in self.known.resumptions.take_expired(now) {
            place.value.notifier.end(Ending::Expired);
        }
        self.gone.take_expired(now);
        self.narrow.sweep(now, &self.audit);
    }

    /// Wipes all keys and resumptions.
    pub fn clear(&mut self) {
        self.known.keys.clear();
        self.known.resumptions.clear();
        self.narrow.clear();
    }

    /// Wipes all keys and resumptions, and cuts the connections of these keys. Their clients can still ask for proof of it.
    /// Returns how many sessions that ends.
    pub fn drop_all(&mut self, now: u64) -> usize {
        self.sweep(now);
        let sessions = self.len();
        for (key_id, place) in self.known.keys.take_all() {
            let domain = place.value.origin.domain.clone();
            self.audit.record_of(key_id.0, ServerEvent::SessionDropped { domain });
            self.remove_secret(key_id.0, place, Ending::Deleted);
        }
        for (id, place) in self.known.resumptions.take_all() {
            self.remove_secret(id.0, place, Ending::Deleted);
        }
        self.narrow.drop_all(&self.audit);
        sessions
    }

    /// Records a use of a session's key, so that others are displaced before it.
    pub fn touch(&mut self, key_id: &KeyId) {
        self.known.keys.touch(key_id);
    }
}

fn limits_of(rules: &ReceptionPolicy) -> Limits {
    if rules.keeper == Keeper::Shared {
        // The store has the limits. Here are copies, which go by themselves.
        return Limits { per_coin: usize::MAX, unproven: usize::MAX, all: usize::MAX };
    }
    Limits { per_coin: rules.keys_per_coin, unproven: rules.unproven_keys, all: rules.max_keys }
}

/// An owner that forgets many keys displaces no other owner's proofs.
fn limits_of_gone(rules: &ReceptionPolicy) -> Limits {
    let all = rules.max_keys.saturating_mul(GONE_FOR_EACH);
    Limits { per_coin: all / 16, unproven: all / 16, all }
}

impl Known {
    /// Whether key sets of this form are served.
    fn serves(&self, form: Form) -> bool {
        match form {
            Form::Wide => true,
            Form::Handshake3Narrow => self.rules.allow_narrow,
            // Each instance would accept the same handshake once.
            Form::Live => self.rules.allow_narrow && self.rules.keeper == Keeper::Own,
        }
    }

    /// The key set of an exchange by handshake 3, with the refusals 2, 8 and 1 in their order.
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

/// The Content Server IDs that may refer to a key set: some clients of the public network convert it to lower case.
/// Shares are derived with the form that the client used, because the RAIDAs gave the shares for that.
fn cs_ids(set: &ServedKeySet) -> Vec<ContentServerId> {
    let own = set.secrets.cs_id();
    let mut cs_ids = vec![own];
    if set.form.share_width() == ShareWidth::Narrow && own.lower_case() != own {
        cs_ids.push(own.lower_case());
    }
    cs_ids
}

/// The shares that an exchange names, each bound to the coins of its group, in the order of the RAIDAs.
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
