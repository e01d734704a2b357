//! What may be shown: counts, change numbers, pages.

use super::{Store, number};
use crate::error::StoreError;
use crate::name::Id;

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
        let mut total = 0;
        for partition in 0..self.shared.partitions {
            let mut reply = self.shared.run(&self.shared.scripts.count, partition, &[]).await?;
            total += reply.rest.number()?;
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

    /// A page of the records, partition by partition, those that end first first. `skip` counts over all partitions.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn page(&self, mut skip: u64, most: usize) -> Result<Vec<Row>, StoreError> {
        let shared = &self.shared;
        let mut rows = Vec::new();
        for partition in 0..shared.partitions {
            if rows.len() >= most {
                break;
            }
            let mut counted = shared.run(&shared.scripts.count, partition, &[]).await?;
            let count = counted.rest.number()?;
            if skip >= count {
                skip -= count;
                continue;
            }
            let (from, left) = (number(skip), number((most - rows.len()) as u64));
            let mut reply = shared.run(&shared.scripts.list, partition, &[&from, &left]).await?;
            for (name, record) in reply.rest.records()? {
                let (id, rest) = shared.open_rest(name, &record)?;
                let (created_at, expires_at) = (record.head.created_at, record.head.expires_at);
                rows.push(Row { id, created_at, expires_at, description: rest.description });
            }
            skip = 0;
        }
        Ok(rows)
    }
}
