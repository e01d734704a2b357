//! The copies of keys that this node has, and the responses that may still bring one.
//!
//! An announcement may overtake the response that it speaks of: a fetch that the store answered before a deletion may arrive after
//! the announcement of that deletion. So each fetch has a flight, an announcement ends the flights of its record, and a
//! copy is installed only by a flight that has not ended, under the same lock. What installs a copy must not wait.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::clock::BootTime;
use crate::lock::lock;
use crate::name::{DomainTag, Id, Name};

/// What has the copies: a daemon's store, or a Content Server's reception.
pub trait Holder: Send + Sync + 'static {
    /// Wipes the copy of this id's key, if there is one, with everything that uses it. When this returns, its bytes are zero.
    fn wipe(&self, id: &Id);

    /// The same, and returns what then searches all memory of the process for the key. `None` if there was no copy, or if it cannot be
    /// searched for.
    fn wipe_and_search(&self, id: &Id) -> Option<Searching> {
        self.wipe(id);
        None
    }

    /// Waits until everything that used wiped copies has stopped, such as connections. Deletions on other nodes wait for it.
    fn stopped(&self) -> Stopped<'_> {
        Box::pin(std::future::ready(()))
    }
}

/// The future of [`Holder::stopped`].
pub type Stopped<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What [`Holder::wipe_and_search`] returns. `None` if memory could not be searched.
pub type Searching = Pin<Box<dyn Future<Output = Option<Search>> + Send>>;

/// What a node found in its memory when it searched for a wiped key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Search {
    /// Bytes that were searched.
    pub scanned_bytes: u64,
    /// Scratch stacks that had not been wiped, and are now.
    pub hits: u64,
}

/// Which records an announcement speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    One(Name),
    Domains(Vec<DomainTag>),
    All,
}

pub(crate) struct Holds {
    table: Mutex<Table>,
    holder: Arc<dyn Holder>,
}

#[derive(Default)]
struct Table {
    held: HashMap<Name, Held>,
    flights: HashMap<Name, Vec<Arc<AtomicBool>>>,
}

#[derive(Clone, Copy)]
struct Held {
    id: Id,
    domain: DomainTag,
    until: BootTime,
}

/// A fetch that is under way.
pub(crate) struct Flight {
    holds: Arc<Holds>,
    names: Vec<Name>,
    has_ended: Arc<AtomicBool>,
}

/// The record was deleted while its key was on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Overtaken;

impl Holds {
    pub(crate) fn new(holder: Arc<dyn Holder>) -> Self {
        Self { table: Mutex::default(), holder }
    }

    /// Begins a fetch of the record that has one of these names. Call it before the store is asked.
    pub(crate) fn begin(self: &Arc<Self>, names: Vec<Name>) -> Flight {
        let has_ended = Arc::new(AtomicBool::new(false));
        let mut table = lock(&self.table);
        for name in &names {
            table.flights.entry(*name).or_default().push(Arc::clone(&has_ended));
        }
        drop(table);
        Flight { holds: Arc::clone(self), names, has_ended }
    }

    /// Wipes the copies, and keeps copies that are on their way from being installed. When this returns, no key of
    /// these records is used by this node, and none will be.
    pub(crate) fn end(&self, which: &Which) {
        let mut table = lock(&self.table);
        let ended = table.take(which);
        drop(table);
        ended.iter().for_each(|held| self.holder.wipe(&held.id));
    }

    /// The same for one record, and returns what then searches for its key, if there was a copy.
    pub(crate) fn end_and_search(&self, name: Name) -> Option<Searching> {
        let ended = lock(&self.table).take(&Which::One(name));
        ended.first().and_then(|held| self.holder.wipe_and_search(&held.id))
    }

    /// Forgets a copy that its holder has wiped, unless it was installed again since.
    pub(crate) fn forget(&self, name: Name, now: BootTime) {
        let mut table = lock(&self.table);
        if table.held.get(&name).is_some_and(|held| held.until <= now) {
            table.held.remove(&name);
        }
    }

    /// As [`Holder::stopped`].
    pub(crate) async fn stopped(&self) {
        self.holder.stopped().await;
    }

    /// How many copies this node has.
    pub(crate) fn len(&self) -> usize {
        let mut table = lock(&self.table);
        let now = BootTime::now();
        table.held.retain(|_, held| held.until > now);
        table.held.len()
    }
}

impl Table {
    fn take(&mut self, which: &Which) -> Vec<Held> {
        match which {
            Which::One(name) => {
                self.flights
                    .remove(name)
                    .iter()
                    .flatten()
                    .for_each(|flight| flight.store(true, Ordering::SeqCst));
                self.held.remove(name).into_iter().collect()
            }
            Which::All | Which::Domains(_) => {
                // Nobody knows yet which domain a flight is for. A fetch that is repeated harms nobody.
                self.flights.drain().for_each(|(_, flights)| {
                    flights.iter().for_each(|flight| flight.store(true, Ordering::SeqCst));
                });
                let is_meant = |held: &Held| match which {
                    Which::Domains(tags) => tags.contains(&held.domain),
                    _ => true,
                };
                self.held.extract_if(|_, held| is_meant(held)).map(|(_, held)| held).collect()
            }
        }
    }
}

impl Flight {
    /// Installs the copy that the fetch brought, or extends the one that is there.
    ///
    /// # Errors
    /// [`Overtaken`]; then nothing was installed.
    pub(crate) fn install(
        self,
        name: Name,
        id: Id,
        domain: DomainTag,
        until: BootTime,
        install: impl FnOnce(),
    ) -> Result<(), Overtaken> {
        let mut table = lock(&self.holds.table);
        if self.has_ended.load(Ordering::SeqCst) {
            return Err(Overtaken);
        }
        install();
        // An extension that was asked for later may have arrived before.
        let until = table.held.get(&name).map_or(until, |held| held.until.max(until));
        table.held.insert(name, Held { id, domain, until });
        Ok(())
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let mut table = lock(&self.holds.table);
        for name in &self.names {
            if let Some(flights) = table.flights.get_mut(name) {
                flights.retain(|flight| !Arc::ptr_eq(flight, &self.has_ended));
                if flights.is_empty() {
                    table.flights.remove(name);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
