//! What may be shown: counts, change numbers, pages.

use std::collections::HashSet;

use super::{Store, number, unintelligible};
use crate::error::StoreError;
use crate::name::Id;

/// How many records are read with one request to the store.
const PAGE: u64 = 500;

/// How many records there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Those that have not ended, in the whole store.
    pub total: u64,
    /// Those whose keys this node holds.
    pub held: usize,
}

/// What may be shown about a record.
pub struct Row {
    pub id: Id,
    /// In milliseconds of the store's clock since 1970.
    pub created_at: u64,
    pub expires_at: u64,
    pub description: Vec<u8>,
}

impl Store {
    /// # Errors
    /// [`StoreError`].
    pub async fn count(&self) -> Result<Count, StoreError> {
        let mut total = 0_u64;
        for partition in 0..self.shared.partitions {
            let mut reply = self.shared.run(&self.shared.scripts.count, partition, &[]).await?;
            total = total.saturating_add(reply.rest.number()?);
        }
        Ok(Count { total, held: self.shared.holds.len() })
    }

    /// A number that grows when the records of any partition change.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn changes(&self) -> Result<u64, StoreError> {
        let mut changes = 0_u64;
        for partition in 0..self.shared.partitions {
            let mut reply = self.shared.run(&self.shared.scripts.count, partition, &[]).await?;
            reply.rest.number()?;
            changes = changes.wrapping_add(reply.rest.number()?);
        }
        Ok(changes)
    }

    /// Walks over the records, partition by partition, those that end first first, and hands each to `each`, once. What is there from the
    /// beginning to the end is not left out.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn each(&self, mut each: impl FnMut(Row)) -> Result<(), StoreError> {
        let shared = &self.shared;
        let most = shared.settings.limits.max.saturating_mul(2).saturating_add(PAGE);
        for partition in 0..shared.partitions {
            // A record that is renewed meanwhile comes again, later.
            let (mut seen, mut after) = (HashSet::new(), (Vec::new(), Vec::new()));
            loop {
                let args: [&[u8]; 3] = [&number(PAGE), &after.0, &after.1];
                let mut reply = shared.run(&shared.scripts.list, partition, &args).await?;
                for (name, record) in reply.rest.records()? {
                    if !seen.insert(name) {
                        continue;
                    }
                    let (id, rest) = shared.open_rest(name, &record)?;
                    let (created_at, expires_at) = (record.head.created_at, record.head.expires_at);
                    each(Row { id, created_at, expires_at, description: rest.description });
                }
                after = (reply.rest.bytes()?, reply.rest.bytes()?);
                if after.1.is_empty() {
                    break;
                }
                // No store has so many.
                if seen.len() as u64 > most {
                    return Err(unintelligible());
                }
            }
        }
        Ok(())
    }
}
