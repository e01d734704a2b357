//! How a node opens a record, and for how long it may use the key.

use std::time::Duration;

use rke_secret::Secret;

use super::create::Parts;
use super::{GRACE, Store, number, unintelligible};
use crate::announcement::Operation;
use crate::clock::{BootTime, Reading, milliseconds};
use crate::error::{Outage, StoreError};
use crate::holds::{Flight, Overtaken};
use crate::name::{DomainTag, Id, Incarnation, Name};
use crate::record::{Head, Record};
use crate::sealing::Binding;

/// How often a record is fetched that announcements of other deletions overtake.
const ATTEMPTS: usize = 4;

/// How much the node is about to encrypt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Need {
    pub messages: u64,
    pub bytes: u64,
}

/// How much the node may encrypt before it asks again. Taken blocks count as used, also those of a node that was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Block {
    pub messages: u64,
    pub bytes: u64,
}

/// For how long, and for how much, a node may use a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// From then on the copy must not be used, and a result that is ready after it is discarded.
    pub until: BootTime,
    /// When the record ends.
    pub ends: BootTime,
    pub block: Block,
    /// In milliseconds of the store's clock since 1970.
    pub created_at: u64,
    pub expires_at: u64,
}

/// An opened record. It must be installed, because it may have been deleted on its way.
pub struct Fetched {
    flight: Flight,
    name: Name,
    id: Id,
    domain: DomainTag,
    secret: Secret<32>,
    description: Vec<u8>,
    held: Held,
}

impl Store {
    /// Opens a record, and writes this node into its holders.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn fetch(&self, id: &Id, need: Need) -> Result<Fetched, StoreError> {
        let answer = self.ask(id, need, "whole").await?;
        let shared = &self.shared;
        let (keys, kind) = (shared.keys(), shared.settings.role.kind());
        let held = self.held(&answer);
        let incarnation = self.expected_incarnation(&answer);
        let Answer { flight, name, record, .. } = answer;
        let key = keys.opening(record.head.key).ok_or(StoreError::OtherKeys)?;
        let from = Binding::secret(kind, id, record.head.expires_at, incarnation);
        let secret = key.open_secret(&from, &record.secret)?;
        let (_, rest) = shared.open_rest(name, &record)?;
        let (domain, description) = (record.head.domain, rest.description);
        Ok(Fetched { flight, name, id: *id, domain, secret, description, held })
    }

    /// Extends a hold, and takes another block. `extend` runs only if the record has not been deleted, and must not wait.
    ///
    /// # Errors
    /// [`StoreError`]; the copy may be used until its own end, unless it is [`StoreError::NotFound`].
    pub async fn extend(&self, id: &Id, need: Need, mut extend: impl FnMut(Held)) -> Result<(), StoreError> {
        for _ in 0..ATTEMPTS {
            let answer = self.ask(id, need, "head").await?;
            let held = self.held(&answer);
            let Answer { flight, name, record, .. } = answer;
            if flight.install(name, *id, record.head.domain, held.until, || extend(held)).is_ok() {
                return Ok(());
            }
        }
        Err(StoreError::Overtaken)
    }

    /// Fetches a record and installs its key, as [`Store::fetch`] and [`Fetched::install`] do, again if an announcement has overtaken it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bring<R>(
        &self,
        id: &Id,
        need: Need,
        mut install: impl FnMut(Fetched) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        for _ in 0..ATTEMPTS {
            match install(self.fetch(id, need).await?) {
                Err(StoreError::Overtaken) => (),
                installed => return installed,
            }
        }
        Err(StoreError::Overtaken)
    }

    /// Gives back what a hold has not used, after its copy was wiped. If it fails, that counts as used.
    pub async fn release(&self, id: &Id, unused: Block) {
        let mut operation = Operation::default();
        // Without it, the block counts as used.
        if getrandom::fill(&mut operation).is_ok() {
            self.release_by(id, unused, &operation).await;
        }
    }

    async fn release_by(&self, id: &Id, unused: Block, operation: &Operation) {
        let shared = &self.shared;
        for name in shared.keys().names(shared.settings.role.kind(), id) {
            shared.holds.forget(name, BootTime::now());
            if unused == Block::default() {
                continue;
            }
            let (messages, bytes) = (number(unused.messages), number(unused.bytes));
            let args: [&[u8]; 4] = [&name.0, &messages, &bytes, operation];
            let _ = shared.run(&shared.scripts.release, shared.partition(id), &args).await;
        }
    }

    /// As a connection to a cluster may do it.
    #[cfg(test)]
    pub(crate) async fn release_twice(&self, id: &Id, unused: Block) {
        for _ in 0..2 {
            self.release_by(id, unused, &[7; 8]).await;
        }
    }

    /// Gives a record its full lifetime again, up to its latest end. Returns its end in milliseconds of the store's clock.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn renew(&self, id: &Id) -> Result<u64, StoreError> {
        let shared = &self.shared;
        for _ in 0..8 {
            let old = self.ask(id, Need::default(), "whole").await?;
            let record = self.renewed(id, &old)?;
            let grace = number(milliseconds(GRACE));
            let args: [&[u8]; 4] = [&old.name.0, &old.record.secret, &record.encode(), &grace];
            let mut reply = shared.run(&shared.scripts.renew, shared.partition(id), &args).await?;
            match reply.status.as_str() {
                "ok" => return Ok(record.head.expires_at),
                // Another node has renewed it meanwhile, or a new primary took over.
                "changed" | "stale" => (),
                "absent" => return Err(shared.absent_without_seals(&mut reply)),
                _ => return Err(unintelligible()),
            }
        }
        Err(Outage::Refused("others renew the same session".into()).into())
    }

    /// The record with a later end, under its own key, so that its name stays.
    fn renewed(&self, id: &Id, answer: &Answer) -> Result<Record, StoreError> {
        let (shared, name, old) = (&self.shared, answer.name, &answer.record);
        let (keys, kind) = (shared.keys(), shared.settings.role.kind());
        let key = keys.opening(old.head.key).ok_or(StoreError::OtherKeys)?;
        let from = Binding::secret(kind, id, old.head.expires_at, old.head.incarnation);
        let secret = key.open_secret(&from, &old.secret)?;
        let (_, rest) = shared.open_rest(name, old)?;
        let full = (answer.reading.now + milliseconds(shared.settings.limits.ttl)).min(old.head.latest);
        let head = Head { expires_at: full.max(old.head.expires_at), ..old.head };
        let parts = Parts {
            kind,
            id,
            secret: &secret,
            description: &rest.description,
            farewell: rest.farewell.as_deref(),
        };
        shared.seal_parts(key, name, head, &parts)
    }

    /// Asks the store for a record. Returns when that was.
    async fn ask(&self, id: &Id, need: Need, how_much: &str) -> Result<Answer, StoreError> {
        let shared = &self.shared;
        let limits = &shared.settings.limits;
        let names = shared.keys().names(shared.settings.role.kind(), id);
        let hold = number(shared.holder_milliseconds());
        let idle = number(limits.idle.map_or(0, milliseconds));
        let grace = number(milliseconds(GRACE));
        let needs = [need.messages, limits.messages, need.bytes, limits.bytes].map(number);
        let mut args: Vec<&[u8]> = vec![&shared.node, &hold, &idle, &grace];
        args.extend(needs.iter().map(Vec::as_slice));
        args.push(how_much.as_bytes());
        args.extend(names.iter().map(|name| name.0.as_slice()));
        let flight = shared.holds.begin(names.clone());
        let asked = BootTime::now();
        let mut reply = shared.run(&shared.scripts.fetch, shared.partition(id), &args).await?;
        match reply.status.as_str() {
            "ok" => {
                let (name, mut raw) = (reply.rest.name()?, reply.rest.bytes()?);
                if how_much == "head" {
                    // Without its parts, whose lengths it still names.
                    raw.truncate(93);
                    raw.extend([0; 6]);
                }
                let record = Record::decode(&raw).map_err(|_| StoreError::Damaged)?;
                let block = Block { messages: reply.rest.number()?, bytes: reply.rest.number()? };
                Ok(Answer { flight, asked, reading: reply.reading, name, record, block })
            }
            "used up" => Err(StoreError::UsedUp),
            "absent" => Err(shared.absent(&mut reply)),
            _ => Err(unintelligible()),
        }
    }

    fn held(&self, answer: &Answer) -> Held {
        let head = &answer.record.head;
        // The store read its clock after `asked`: the end is never too late.
        let left = head.expires_at.saturating_sub(answer.reading.now);
        let ends = answer.asked.after(Duration::from_millis(left));
        let until = answer.asked.after(self.shared.settings.limits.hold).min(ends);
        Held { until, ends, block: answer.block, created_at: head.created_at, expires_at: head.expires_at }
    }

    /// The incarnation that a record has to be of.
    fn expected_incarnation(&self, answer: &Answer) -> Incarnation {
        #[cfg(test)]
        if self.shared.has_fault(crate::fault::Fault::NoIncarnation) {
            return answer.record.head.incarnation;
        }
        answer.reading.incarnation
    }
}

/// What the store says about a record.
struct Answer {
    flight: Flight,
    /// When it was asked.
    asked: BootTime,
    reading: Reading,
    name: Name,
    record: Record,
    block: Block,
}

impl super::Shared {
    /// As [`super::Shared::absent`], for a record that was there a moment ago.
    fn absent_without_seals(&self, reply: &mut crate::reply::Reply) -> StoreError {
        match reply.is_young {
            true => StoreError::Unsettled { retry_after: self.settings.settle },
            false => StoreError::NotFound,
        }
    }
}

impl Fetched {
    /// What the application said about it.
    pub fn description(&self) -> &[u8] {
        &self.description
    }

    /// Hands the key to `install`, unless the record was deleted meanwhile. `install` puts it where [`crate::Holder::wipe`] finds it,
    /// and must not wait.
    ///
    /// # Errors
    /// [`StoreError::Overtaken`]; then the key is wiped.
    pub fn install<R>(self, install: impl FnOnce(Secret<32>, Held) -> R) -> Result<R, StoreError> {
        let Self { flight, name, id, domain, secret, held, .. } = self;
        let mut installed = None;
        let outcome =
            flight.install(name, id, domain, held.until, || installed = Some(install(secret, held)));
        outcome.map_err(|Overtaken| StoreError::Overtaken)?;
        installed.ok_or(StoreError::Overtaken)
    }
}
