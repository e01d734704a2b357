//! The store as an application uses it. The README says what each operation guarantees.

mod cache;
mod create;
mod delete;
mod fetch;
mod inspection;
mod known;
mod membership;
mod node;
mod open;
mod owners;
mod refusals;
mod replay;
mod view;

use std::collections::HashMap;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use redis::Value;
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

pub use self::cache::{CacheEntry, CacheRow, Exchange, NewEntry, Turn};
pub use self::create::{Created, NewRecord};
pub use self::delete::Deleted;
pub use self::fetch::{Block, Fetched, Held, Need};
pub use self::inspection::{Inspection, inspect};
pub use self::known::Known;
use self::membership::Membership;
pub use self::open::{OpenStoreError, keys_in_use};
use self::refusals::Refusals;
pub use self::replay::{NotRemembered, ReplayLimits};
pub use self::view::{Count, Row};
use crate::announcement::{NodeId, Operation};
use crate::clock::{Reading, StoreClock, milliseconds};
use crate::error::{Outage, StoreError};
use crate::holds::{Holds, Search};
use crate::key_file::StoreKeys;
use crate::link::Link;
use crate::name::{Id, KeyTag, Kind, Name, TAG_LEN};
use crate::record::{Head, Record};
use crate::reply::Reply;
use crate::scripts::{Script, Scripts};
use crate::sealing::{Binding, Part};
use crate::settings::Settings;

/// How much longer the store counts a holder than the holder keeps its copy. A step of the store's clock by less than this
/// makes no deletion forget a holder.
const HOLDER_SLACK: Duration = Duration::from_secs(10);

/// How long the store keeps what has ended, for the node that sweeps it.
const GRACE: Duration = Duration::from_secs(600);

/// A record that has ended by itself, or with many others: what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedRecord {
    /// What the store calls it, for [`Store::farewell_done`].
    pub name: Name,
    /// The application's description.
    pub description: Vec<u8>,
    /// What is needed to have its key wiped at the other end.
    pub farewell: Option<Vec<u8>>,
    /// What has ended it.
    pub by: EndedBy,
}

/// What has ended a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndedBy {
    /// Its lifetime, or its idle time, is over.
    Expiry,
    /// It was deleted, alone or with others.
    Deletion,
    /// Its primary has been restarted, or another has taken over.
    NewPrimary,
}

/// Why a node hears about a record that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// This node is the one that removed it: it expired, or was deleted with many others. One node hears this, once.
    Removed,
    /// Its key has not been wiped at the other end yet. One node hears this every 30 seconds, until
    /// [`Store::farewell_done`].
    Overdue,
}

/// Called with records that have ended. It must not wait.
pub type OnEnded = Box<dyn Fn(Id, Ending, EndedRecord) + Send + Sync>;

/// Sessions, or keys, that this node shares with others.
pub struct Store {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

struct Shared {
    settings: Settings,
    keys: RwLock<Arc<StoreKeys>>,
    link: Link,
    scripts: Scripts,
    clock: StoreClock,
    partitions: u16,
    holds: Arc<Holds>,
    membership: Membership,
    refusals: Refusals,
    node: NodeId,
    /// Deletions of this node that wait for holders.
    waiting: Mutex<HashMap<Operation, UnboundedSender<Wiped>>>,
    /// Deletions and withdrawn creations that go on in the background.
    background: AtomicUsize,
    on_ended: OnEnded,
    #[cfg(test)]
    fault: Option<crate::fault::Fault>,
}

/// A holder that has wiped.
struct Wiped {
    by: NodeId,
    /// What it found in its memory, if it was to search.
    found: Option<Search>,
}

impl Shared {
    /// The keys. The file may change while the node runs.
    fn keys(&self) -> Arc<StoreKeys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the keys of a partition begin with.
    fn prefix(&self, partition: u16) -> Vec<u8> {
        format!("rke:{{{}{partition}}}:", self.settings.role.letter()).into_bytes()
    }

    fn partition(&self, id: &Id) -> u16 {
        id.partition(self.partitions)
    }

    /// Runs a script on a partition, and notes what each response says besides.
    async fn run(&self, script: &Script, partition: u16, args: &[&[u8]]) -> Result<Reply, Outage> {
        // A node that the store has forgotten because nothing reached it says that.
        self.membership.check().map_err(|outage| self.link.outage().unwrap_or(outage))?;
        let settle = number(milliseconds(self.settings.settle));
        let args = [&[settle.as_slice()], args].concat();
        let ran = self.link.run(script, &self.prefix(partition), &args).await;
        let value: Value = ran.inspect_err(|outage| self.refusals.note(partition, outage))?;
        let mut reply = Reply::read(value)?;
        let is_new = self.clock.note(partition, reply.reading);
        for (name, record) in std::mem::take(&mut reply.ended) {
            self.report_ended(name, Ending::Removed, &record, reply.reading);
        }
        // In a cluster, another primary may be the one that knows the members.
        if is_new && self.partitions == 1 {
            self.membership.begin_again();
            // It was carried out, and others may not count on this node yet.
            self.membership.check().map_err(|_| Outage::Unconfirmed)?;
        }
        Ok(reply)
    }

    fn report_ended(&self, name: Name, ending: Ending, record: &Record, reading: Reading) {
        match self.open_rest(name, record) {
            Ok((id, rest)) => {
                let by = record.head.ended_by(reading);
                (self.on_ended)(id, ending, EndedRecord { by, ..rest });
            }
            Err(error) => tracing::warn!(%error, "a record that has ended could not be read"),
        }
    }

    /// Opens everything of a record but its secret: its id, its description and its farewell.
    fn open_rest(&self, name: Name, record: &Record) -> Result<(Id, EndedRecord), StoreError> {
        self.open_rest_of(self.settings.role.kind(), name, record)
    }

    fn open_rest_of(&self, kind: Kind, name: Name, record: &Record) -> Result<(Id, EndedRecord), StoreError> {
        let keys = self.keys();
        let key = keys.opening(record.head.key).ok_or(StoreError::OtherKeys)?;
        let head = &record.head;
        let open = |part, sealed: &[u8]| {
            let from = Binding::of_name(kind, part, name, head.expires_at, head.incarnation);
            key.open_data(&from, sealed)
        };
        let opened = open(Part::Description, &record.description)?;
        let (id, description) = opened.split_first_chunk().ok_or(StoreError::Damaged)?;
        let farewell = match record.farewell.as_slice() {
            [] => None,
            sealed => Some(open(Part::Farewell, sealed)?),
        };
        Ok((
            Id(*id),
            EndedRecord { name, description: description.to_vec(), farewell, by: EndedBy::Deletion },
        ))
    }

    /// Whether this node has all of these keys.
    fn has_keys(&self, seals: &[[u8; TAG_LEN]]) -> bool {
        let keys = self.keys();
        seals.iter().all(|seal| keys.opening(KeyTag(*seal)).is_some())
    }

    /// What it means that a partition does not know an id.
    fn absent(&self, reply: &mut Reply) -> StoreError {
        if reply.is_young {
            return StoreError::Unsettled { retry_after: self.settings.settle };
        }
        match reply.rest.arrays() {
            Ok(seals) if self.has_keys(&seals) => StoreError::NotFound,
            Ok(_) => StoreError::OtherKeys,
            Err(outage) => outage.into(),
        }
    }

    #[cfg(test)]
    fn has_fault(&self, fault: crate::fault::Fault) -> bool {
        self.fault == Some(fault)
    }
}

impl Head {
    /// What has ended a record that a script has removed without being asked for it.
    fn ended_by(&self, reading: Reading) -> EndedBy {
        let is_over = |end: u64| end > 0 && end <= reading.now;
        if self.incarnation != reading.incarnation {
            EndedBy::NewPrimary
        } else if is_over(self.expires_at) || is_over(self.idle_until) {
            EndedBy::Expiry
        } else {
            EndedBy::Deletion
        }
    }
}

/// A number as scripts read it.
fn number(value: u64) -> Vec<u8> {
    value.to_string().into_bytes()
}

fn unintelligible() -> StoreError {
    Outage::Unintelligible.into()
}

impl Drop for Store {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

#[cfg(test)]
mod tests;
