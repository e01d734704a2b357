//! What the store refuses although it can be reached, as its latest responses say. Each sweep of a partition shows it within a second,
//! except a lack of memory, which stops only what adds something.

use std::collections::BTreeMap;
use std::sync::Mutex;

use crate::error::Outage;
use crate::lock::lock;

/// How the store refuses what would need more memory.
const NO_MEMORY: &str = "OOM";

/// The refusals, by partition.
#[derive(Default)]
pub(super) struct Refusals(Mutex<BTreeMap<u16, Outage>>);

impl Refusals {
    /// Notes that a partition has no memory left, if that is what a script says.
    pub(super) fn note(&self, partition: u16, outage: &Outage) {
        if lacks_memory(outage) {
            lock(&self.0).insert(partition, outage.clone());
        }
    }

    /// Notes what a sweep of a partition says. A sweep works also where no memory is left.
    pub(super) fn note_sweep<T>(&self, partition: u16, swept: &Result<T, Outage>) {
        let mut refusals = lock(&self.0);
        match swept {
            Err(refused @ Outage::Refused(_)) => {
                refusals.insert(partition, refused.clone());
            }
            Err(_) => (),
            Ok(_) if refusals.get(&partition).is_some_and(lacks_memory) => (),
            Ok(_) => {
                refusals.remove(&partition);
            }
        }
    }

    /// Whether a partition had no memory left.
    pub(super) fn lacks_memory(&self, partition: u16) -> bool {
        lock(&self.0).get(&partition).is_some_and(lacks_memory)
    }

    /// A partition has memory again.
    pub(super) fn has_memory(&self, partition: u16) {
        lock(&self.0).remove(&partition);
    }

    /// One of them, if there are any.
    pub(super) fn first(&self) -> Option<Outage> {
        lock(&self.0).values().next().cloned()
    }
}

fn lacks_memory(outage: &Outage) -> bool {
    matches!(outage, Outage::Refused(code) if code == NO_MEMORY)
}
