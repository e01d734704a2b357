//! Whose keys a Content Server keeps: so many of each proven coin, then the one that was unused for longest goes.

use std::sync::Arc;
use std::time::Duration;

use super::{Deleted, Store, number};
use crate::announcement::Order;
use crate::clock::milliseconds;
use crate::error::StoreError;
use crate::name::{Id, NAME_LEN, Name};

/// Where a record lies: its partition (2 bytes, big-endian) and its name.
const PLACE_LEN: usize = 2 + NAME_LEN;

impl Store {
    /// Counts a record on its owner, or notes that it was used, and deletes those of the owner's that are too many: for each of them
    /// [`Store::delete`]'s promise holds. Call it after the record was created. `owner` is not shown to the store.
    ///
    /// # Errors
    /// [`StoreError`]; then the record may not be counted, or too many are left until the next call.
    pub async fn own(
        &self,
        owner: &str,
        id: &Id,
        lifetime: Duration,
        most: u64,
    ) -> Result<Vec<Deleted>, StoreError> {
        let shared = &self.shared;
        let (tags, places, partition) =
            (shared.keys().domain_tags(owner), self.places(id), shared.partition_of(owner));
        let (lifetime, most) = (number(milliseconds(lifetime)), number(most));
        let keys = number(tags.len() as u64);
        let mut args: Vec<&[u8]> = vec![&lifetime, &most, &keys];
        args.extend(tags.iter().zip(&places).flat_map(|(tag, place)| [tag.0.as_slice(), place]));
        let mut reply = shared.run(&shared.scripts.own, partition, &args).await?;
        let mut deleted = Vec::new();
        for place in reply.rest.arrays::<PLACE_LEN>()? {
            let [high, low, name @ ..] = place;
            match Arc::clone(shared)
                .delete_names(u16::from_be_bytes([high, low]), vec![Name(name)], Order::Wipe)
                .await
            {
                Ok(gone) => deleted.push(gone),
                // It has ended by itself.
                Err(StoreError::NotFound) => (),
                Err(error) => return Err(error),
            }
            self.count_no_longer(owner, &[place.to_vec()]).await;
        }
        Ok(deleted)
    }

    /// Counts a record on its owner no longer, after it was deleted.
    pub async fn disown(&self, owner: &str, id: &Id) {
        self.count_no_longer(owner, &self.places(id)).await;
    }

    async fn count_no_longer(&self, owner: &str, places: &[Vec<u8>]) {
        let shared = &self.shared;
        for tag in shared.keys().domain_tags(owner) {
            let mut args: Vec<&[u8]> = vec![&tag.0];
            args.extend(places.iter().map(Vec::as_slice));
            // If it fails, the record counts until its lifetime is over, or until it is the longest unused.
            let _ = shared.run(&shared.scripts.disown, shared.partition_of(owner), &args).await;
        }
    }

    /// Where a record may lie, by each key.
    fn places(&self, id: &Id) -> Vec<Vec<u8>> {
        let shared = &self.shared;
        let partition = shared.partition(id).to_be_bytes();
        let names = shared.keys().names(shared.settings.role.kind(), id);
        names.iter().map(|name| [&partition[..], &name.0].concat()).collect()
    }
}
