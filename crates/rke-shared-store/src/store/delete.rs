//! How records are deleted, so that afterwards nobody uses the key.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, sleep, timeout_at};

use super::{EndedRecord, Shared, Store, Wiped, unintelligible};
use crate::announcement::{Announcement, NodeId, Operation, Order, channel_prefix};
use crate::error::{Outage, StoreError};
use crate::holds::{Search, Which};
use crate::lock::lock;
use crate::name::{Id, Name};
use crate::record::Record;

/// The most deletions and withdrawn creations in the background. More can only come from someone who deletes made-up ids while
/// the store is away.
pub(super) const MOST_IN_BACKGROUND: usize = 10_000;

/// How long holders may search their memory, if that is longer than a hold.
const SEARCH_TIME: Duration = Duration::from_secs(5);

/// A record that was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deleted {
    /// What is left of it. `None` if an earlier, unconfirmed deletion removed it and its key has been wiped at the other end.
    pub rest: Option<EndedRecord>,
    /// How many other nodes may have held its key.
    pub holders: usize,
    /// What those of them that searched their memory found, after [`Store::delete_and_search`].
    pub searches: Vec<Search>,
}

/// What a deletion found.
struct Found {
    name: Name,
    rest: Option<EndedRecord>,
    holders: HashSet<NodeId>,
}

/// Whether a node reports a deletion, or could not.
#[derive(Clone, Copy)]
enum Report {
    ByThisNode,
    ByTheNextRequest,
}

/// A deletion's ear for the holders that have wiped.
struct Ear<'a> {
    shared: &'a Shared,
    operation: Operation,
    heard: UnboundedReceiver<Wiped>,
    /// Under the fault that announces first.
    #[cfg(test)]
    has_waited: bool,
}

impl Store {
    /// Deletes a record: when this returns, no node uses the key, and none will.
    ///
    /// It goes on if nobody waits for it.
    ///
    /// # Errors
    /// [`StoreError`]. A deletion that is not confirmed goes on in the background, and the next request for it is the one that reports it.
    pub async fn delete(&self, id: &Id) -> Result<Deleted, StoreError> {
        self.delete_by(id, Order::Wipe).await
    }

    /// The same, and then each other node that held the key searches its memory for it.
    ///
    /// # Errors
    /// As [`Store::delete`].
    pub async fn delete_and_search(&self, id: &Id) -> Result<Deleted, StoreError> {
        self.delete_by(id, Order::Search).await
    }

    async fn delete_by(&self, id: &Id, order: Order) -> Result<Deleted, StoreError> {
        let (shared, id) = (Arc::clone(&self.shared), *id);
        let deletion = tokio::spawn(async move { shared.delete(&id, order).await });
        deletion.await.unwrap_or_else(|_| Err(Outage::Unconfirmed.into()))
    }

    /// Deletes all records, or those of a domain: when this returns, no node uses one of their keys, and none will. Returns how many
    /// there were; `None` for a domain, whose records are counted as they are removed.
    ///
    /// # Errors
    /// [`StoreError`]; some may then be deleted and others not.
    pub async fn delete_many(&self, domain: Option<&str>) -> Result<Option<u64>, StoreError> {
        let (shared, domain) = (Arc::clone(&self.shared), domain.map(str::to_owned));
        let deletion = tokio::spawn(async move { shared.delete_many(domain.as_deref()).await });
        deletion.await.unwrap_or_else(|_| Err(Outage::Unconfirmed.into()))
    }

    /// Notes that a key has been wiped at the other end, so that no node has to do it any longer.
    ///
    /// # Errors
    /// [`StoreError`]; then another node does it again, which harms nobody.
    pub async fn farewell_done(&self, id: &Id, record: &EndedRecord) -> Result<(), StoreError> {
        let shared = &self.shared;
        let partition = shared.partition(id);
        shared.run(&shared.scripts.farewell_done, partition, &[&record.name.0]).await?;
        Ok(())
    }

    /// Wipes all copies that this node has. The sessions live on, and other nodes go on using theirs.
    pub fn wipe_holds(&self) {
        self.shared.holds.end(&Which::All);
    }

    /// How many deletions and withdrawn creations go on in the background.
    pub fn in_background(&self) -> usize {
        self.shared.background.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
impl Store {
    pub(crate) fn names(&self, id: &Id) -> Vec<Name> {
        self.shared.keys().names(self.shared.settings.role.kind(), id)
    }

    /// What the background does with a deletion that was not confirmed, without the wipe that follows it.
    pub(crate) async fn remove_in_background(&self, id: &Id, names: Vec<Name>) {
        let (partition, order) = (self.shared.partition(id), (Order::Wipe, Operation::default()));
        self.shared.remove(partition, &names, order, Report::ByTheNextRequest).await.expect("removed");
    }
}

impl Shared {
    async fn delete(self: &Arc<Self>, id: &Id, order: Order) -> Result<Deleted, StoreError> {
        let names = self.keys().names(self.settings.role.kind(), id);
        self.delete_names(self.partition(id), names, order).await
    }

    /// Deletes the record that has one of these names.
    pub(super) async fn delete_names(
        self: &Arc<Self>,
        partition: u16,
        names: Vec<Name>,
        order: Order,
    ) -> Result<Deleted, StoreError> {
        let mut ear = Ear::new(self)?;
        #[cfg(test)]
        self.announce_first(partition, &mut ear, &names).await;
        let found = self.remove(partition, &names, (order, ear.operation), Report::ByThisNode).await;
        // In any case: what this node has is wiped at once, and what is on its way to it is not used.
        names.iter().for_each(|name| self.holds.end(&Which::One(*name)));
        match found {
            Ok(mut found) => {
                self.holds.end(&Which::One(found.name));
                found.holders.remove(&self.node);
                let holders = found.holders.len();
                let searches = ear.wait(found.holders, order).await;
                Ok(Deleted { rest: found.rest, holders, searches })
            }
            Err(error @ StoreError::Unavailable(_)) => {
                self.go_on(partition, names, ear.operation);
                Err(error)
            }
            Err(error) => Err(error),
        }
    }

    /// Runs the script that removes a record and tells its holders.
    async fn remove(
        &self,
        partition: u16,
        names: &[Name],
        (order, operation): (Order, Operation),
        report: Report,
    ) -> Result<Found, StoreError> {
        let channel = channel_prefix(self.settings.role.letter());
        let announcement = Announcement::of_one(order, &operation, &self.node);
        let report: &[u8] = match report {
            Report::ByThisNode => b"1",
            Report::ByTheNextRequest => b"0",
        };
        let mut args: Vec<&[u8]> = vec![&operation, &self.node, &channel, &announcement, report];
        args.extend(names.iter().map(|name| name.0.as_slice()));
        let mut reply = self.run(&self.scripts.delete, partition, &args).await?;
        match reply.status.as_str() {
            "deleted" => {
                let (name, rest, holders) = (reply.rest.name()?, reply.rest.bytes()?, reply.rest.bytes()?);
                let rest = match rest.as_slice() {
                    [] => None,
                    rest => {
                        let record = Record::decode(rest).map_err(|_| StoreError::Damaged)?;
                        Some(self.open_rest(name, &record)?.1)
                    }
                };
                Ok(Found { name, rest, holders: nodes(&holders) })
            }
            "absent" => Err(self.absent(&mut reply)),
            _ => Err(unintelligible()),
        }
    }

    /// Goes on with a deletion that was not confirmed, until the store says that the record is gone.
    fn go_on(self: &Arc<Self>, partition: u16, names: Vec<Name>, operation: Operation) {
        if self.background.load(Ordering::SeqCst) >= MOST_IN_BACKGROUND {
            tracing::warn!("too many deletions wait for the store; one was given up");
            return;
        }
        let shared = Arc::clone(self);
        self.background.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            let mut pause = Duration::from_millis(100);
            loop {
                let order = (Order::Wipe, operation);
                let removed = shared.remove(partition, &names, order, Report::ByTheNextRequest).await;
                // A request may have fetched it again meanwhile.
                names.iter().for_each(|name| shared.holds.end(&Which::One(*name)));
                match removed {
                    Err(StoreError::Unavailable(_)) => sleep(pause).await,
                    Ok(_) | Err(_) => break,
                }
                pause = (pause * 2).min(Duration::from_secs(2));
            }
            shared.background.fetch_sub(1, Ordering::SeqCst);
        });
    }

    async fn delete_many(self: &Arc<Self>, domain: Option<&str>) -> Result<Option<u64>, StoreError> {
        let mut ear = Ear::new(self)?;
        let tags = domain.map(|domain| self.keys().domain_tags(domain));
        let args: Vec<&[u8]> = tags.iter().flatten().map(|tag| tag.0.as_slice()).collect();
        let (mut count, mut holders, mut is_young, mut has_all_keys) = (0, HashSet::new(), false, true);
        for partition in 0..self.partitions {
            let mut reply = self.run(&self.scripts.delete_many, partition, &args).await?;
            count += reply.rest.number()?;
            holders.extend(nodes(&reply.rest.bytes()?));
            is_young |= reply.is_young;
            has_all_keys &= self.has_keys(&reply.rest.arrays()?);
        }
        let which = tags.map_or(Which::All, Which::Domains);
        self.holds.end(&which);
        holders.remove(&self.node);
        let wipe = Announcement::Wipe { operation: ear.operation, from: self.node, which }.encode();
        for node in &holders {
            self.publish(node, &wipe).await;
        }
        if is_young {
            // The new primary may not know all holders of the old one.
            holders.insert(NodeId::default());
        }
        ear.wait(holders, Order::Wipe).await;
        match domain {
            None => Ok(Some(count)),
            Some(_) if has_all_keys => Ok(None),
            // Records under a key that this node does not have are still there.
            Some(_) => Err(StoreError::OtherKeys),
        }
    }

    /// Breaks a rule: the holders wipe and say so while the record is still there. Goes on when one of them has fetched it again.
    #[cfg(test)]
    async fn announce_first(&self, partition: u16, ear: &mut Ear<'_>, names: &[Name]) {
        if !self.has_fault(crate::fault::Fault::AnnounceFirst) {
            return;
        }
        let holders = self.holders_of(partition, names).await;
        for name in names {
            let start = Announcement::of_one(Order::Wipe, &ear.operation, &self.node);
            let message = [start, name.0.to_vec()].concat();
            for node in holders.keys() {
                self.publish(node, &message).await;
            }
        }
        ear.wait(holders.keys().copied().collect(), Order::Wipe).await;
        ear.has_waited = true;
        while self.holders_of(partition, names).await == holders {
            tokio::task::yield_now().await;
        }
    }

    /// The nodes that the store has as holders, with the ends of their holds.
    #[cfg(test)]
    async fn holders_of(&self, partition: u16, names: &[Name]) -> std::collections::HashMap<NodeId, Vec<u8>> {
        let mut holders = std::collections::HashMap::new();
        for name in names {
            let key = [self.prefix(partition), b"holders:".to_vec(), name.0.to_vec()].concat();
            let found = self.link.command(redis::cmd("HGETALL").arg(key)).await.expect("holders");
            let found: Vec<(Vec<u8>, Vec<u8>)> = redis::from_redis_value(found).expect("nodes");
            let of_node = |(node, until): (Vec<u8>, Vec<u8>)| Some((NodeId::try_from(node).ok()?, until));
            holders.extend(found.into_iter().filter_map(of_node));
        }
        holders
    }
}

impl<'a> Ear<'a> {
    fn new(shared: &'a Shared) -> Result<Self, StoreError> {
        let mut operation = Operation::default();
        getrandom::fill(&mut operation)?;
        let (sender, heard) = unbounded_channel();
        lock(&shared.waiting).insert(operation, sender);
        Ok(Self {
            shared,
            operation,
            heard,
            #[cfg(test)]
            has_waited: false,
        })
    }

    /// Waits until all of these have wiped, at most for as long as a node keeps a key without asking. That is counted from the store's
    /// response: each hold began before it. Where they are to search, they get the time for it. Returns what they found.
    async fn wait(&mut self, mut holders: HashSet<NodeId>, order: Order) -> Vec<Search> {
        #[cfg(test)]
        if self.shared.has_fault(crate::fault::Fault::DeleteWithoutWait) || self.has_waited {
            return Vec::new();
        }
        let hold = self.shared.settings.limits.hold;
        let limit = match order {
            Order::Wipe => hold,
            Order::Search => hold.max(SEARCH_TIME),
        };
        let (deadline, mut searches) = (Instant::now() + limit, Vec::new());
        while !holders.is_empty() {
            let Ok(Some(Wiped { by, found })) = timeout_at(deadline, self.heard.recv()).await else { break };
            if holders.remove(&by) {
                searches.extend(found);
            }
        }
        searches
    }
}

impl Drop for Ear<'_> {
    fn drop(&mut self) {
        lock(&self.shared.waiting).remove(&self.operation);
    }
}

fn nodes(bytes: &[u8]) -> HashSet<NodeId> {
    bytes.as_chunks().0.iter().copied().collect()
}
