//! What a node does for the others: it wipes what they delete, says so, and removes what has ended.

use std::sync::Arc;
use std::time::Duration;

use redis::{PushInfo, PushKind, Value};
use tokio::time::sleep;

use super::{Ending, Shared, Wiped, number};
use crate::announcement::{Announcement, NodeId, Operation, channel};
use crate::clock::milliseconds;
use crate::holds::Searching;
use crate::lock::lock;

/// How many records one sweep removes.
const BATCH: u64 = 64;

/// The pauses between sweeps: while more is left, and the longest.
pub(super) const SHORT_PAUSE: Duration = Duration::from_millis(20);
const LONG_PAUSE: Duration = Duration::from_secs(1);

/// What another node has deleted, and is wiped here.
pub(super) struct Wiping {
    operation: Operation,
    from: NodeId,
    searching: Option<Searching>,
}

impl Shared {
    /// Handles a pushed message. Returns what to respond to, if it wants a response.
    pub(super) fn receive(&self, push: &PushInfo) -> Option<Wiping> {
        let (PushKind::Message, [_, Value::BulkString(message)]) = (&push.kind, push.data.as_slice()) else {
            return None;
        };
        match Announcement::decode(message) {
            Ok(Announcement::Wipe { operation, from, which }) => {
                self.holds.end(&which);
                Some(Wiping { operation, from, searching: None })
            }
            Ok(Announcement::Search { operation, from, name }) => {
                Some(Wiping { operation, from, searching: self.holds.end_and_search(name) })
            }
            Ok(Announcement::Done { operation, by }) => self.note(operation, Wiped { by, found: None }),
            Ok(Announcement::Searched { operation, by, found }) => {
                self.note(operation, Wiped { by, found: Some(found) })
            }
            Err(error) => {
                tracing::warn!(%error, "another machine's message could not be read");
                None
            }
        }
    }

    fn note(&self, operation: Operation, wiped: Wiped) -> Option<Wiping> {
        if let Some(waiting) = lock(&self.waiting).get(&operation) {
            // The deletion may have been answered meanwhile.
            let _ = waiting.send(wiped);
        }
        None
    }

    /// Responds when everything that used the wiped copies has stopped, and memory was searched if it was to be.
    pub(super) async fn respond(&self, Wiping { operation, from, searching }: Wiping) {
        self.holds.stopped().await;
        let found = match searching {
            Some(searching) => searching.await,
            None => None,
        };
        let by = self.node;
        let response = match found {
            Some(found) => Announcement::Searched { operation, by, found },
            None => Announcement::Done { operation, by },
        };
        self.publish(&from, &response.encode()).await;
    }

    /// Says something to a node. A message that is lost costs a wait, no more.
    pub(super) async fn publish(&self, to: &NodeId, message: &[u8]) {
        let mut publish = redis::cmd("PUBLISH");
        publish.arg(channel(self.settings.role.letter(), to)).arg(message);
        let _ = self.link.command(&publish).await;
    }

    /// Removes a batch of what has ended in a partition. Returns how long to wait for the next.
    pub(super) async fn sweep(&self, partition: u16) -> Duration {
        let swept = self.run(&self.scripts.sweep, partition, &[&number(BATCH)]).await;
        self.refusals.note_sweep(partition, &swept);
        let Ok(mut reply) = swept else { return LONG_PAUSE };
        if self.refusals.lacks_memory(partition) && self.run(&self.scripts.add, partition, &[]).await.is_ok()
        {
            self.refusals.has_memory(partition);
        }
        let (Ok(due), Ok(next), Ok(overdue)) =
            (reply.rest.number(), reply.rest.number(), reply.rest.records())
        else {
            return LONG_PAUSE;
        };
        for (name, record) in overdue {
            self.report_ended(name, Ending::Overdue, &record, reply.reading);
        }
        match (due, next) {
            (1.., _) => SHORT_PAUSE,
            (0, 0) => LONG_PAUSE,
            (0, next) => {
                Duration::from_millis(next.saturating_sub(reply.reading.now)).clamp(SHORT_PAUSE, LONG_PAUSE)
            }
        }
    }
}

/// Sweeps for as long as the node runs. Each node does: the first to come removes a batch.
pub(super) async fn sweep(shared: Arc<Shared>) {
    loop {
        let mut pause = LONG_PAUSE;
        for partition in 0..shared.partitions {
            pause = pause.min(shared.sweep(partition).await);
        }
        sleep(pause).await;
    }
}

impl Shared {
    /// Milliseconds for which the store counts a holder.
    pub(super) fn holder_milliseconds(&self) -> u64 {
        milliseconds(self.settings.limits.hold + super::HOLDER_SLACK)
    }
}

#[cfg(test)]
impl super::Store {
    /// Makes the node hear nothing that others announce.
    pub(crate) fn deafen(&self) {
        self.tasks[0].abort();
    }
}
