//! How records are added.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rke_secret::Secret;
use tokio::time::Instant;

use super::delete::MOST_IN_BACKGROUND;
use super::node::SHORT_PAUSE;
use super::{GRACE, Shared, Store, number, unintelligible};
use crate::clock::milliseconds;
use crate::error::{Outage, StoreError};
use crate::name::{Id, Kind, Name};
use crate::record::{Head, MAX_DATA_LEN, Record};
use crate::sealing::{Binding, Part};

/// By how much a node's idea of the store's time may be wrong.
const TOLERANCE: Duration = Duration::from_secs(2);

/// How long a creation that finds no room removes what cannot be used any more.
const MAKING_ROOM: Duration = Duration::from_millis(400);

/// How often a creation is sealed again for a new primary or another time.
const ATTEMPTS: usize = 3;

/// What a record is made of.
pub struct NewRecord<'a> {
    /// Its id. `None` for a random one.
    pub id: Option<Id>,
    pub secret: &'a Secret<32>,
    /// The domain that it is for.
    pub domain: &'a str,
    /// What may be shown about it, at most [`MAX_DATA_LEN`] bytes less 16. Sealed.
    pub description: &'a [u8],
    /// What is needed to have it wiped at the other end. Sealed.
    pub farewell: Option<&'a [u8]>,
}

/// A record that was added.
#[derive(Clone, Copy)]
pub struct Created {
    pub id: Id,
    /// In milliseconds of the store's clock since 1970.
    pub created_at: u64,
    pub expires_at: u64,
}

impl Store {
    /// Adds a record. It never ends another to make room.
    ///
    /// # Errors
    /// [`StoreError`]; then there is no record. One whose addition is not confirmed is taken back in the background.
    pub async fn create(&self, new: NewRecord<'_>) -> Result<Created, StoreError> {
        self.create_for(new, self.shared.settings.limits.ttl).await
    }

    /// The same, for a lifetime of its own. A renewal would give it that of all others.
    ///
    /// # Errors
    /// As [`Store::create`].
    pub async fn create_for(&self, new: NewRecord<'_>, lifetime: Duration) -> Result<Created, StoreError> {
        let shared = &self.shared;
        if new.description.len() + 16 > MAX_DATA_LEN || new.farewell.is_some_and(|f| f.len() > MAX_DATA_LEN) {
            return Err(StoreError::Damaged);
        }
        let Some(id) = new.id else { return self.create_anywhere(&new, lifetime).await };
        shared.create_in(shared.partition(&id), id, &new, lifetime).await
    }

    /// Adds it to a partition that has room, and begins with any.
    async fn create_anywhere(&self, new: &NewRecord<'_>, lifetime: Duration) -> Result<Created, StoreError> {
        let shared = &self.shared;
        let first = shared.partition(&Id::random()?);
        let mut wait = Duration::MAX;
        for step in 0..shared.partitions {
            let partition = (first + step) % shared.partitions;
            let id = loop {
                let id = Id::random()?;
                if shared.partition(&id) == partition {
                    break id;
                }
            };
            match shared.create_in(partition, id, new, lifetime).await {
                Err(StoreError::Full { retry_after, .. }) => wait = wait.min(retry_after),
                created => return created,
            }
        }
        Err(StoreError::Full { max: shared.settings.limits.max, retry_after: wait })
    }
}

impl Shared {
    async fn create_in(
        self: &Arc<Self>,
        partition: u16,
        id: Id,
        new: &NewRecord<'_>,
        lifetime: Duration,
    ) -> Result<Created, StoreError> {
        let limit = number(self.settings.limits.of_partition(partition, self.partitions));
        let (grace, tolerance) = (number(milliseconds(GRACE)), number(milliseconds(TOLERANCE)));
        let mut full = None;
        for _ in 0..ATTEMPTS {
            let (name, record) = self.seal(partition, &id, new, lifetime)?;
            let args: [&[u8]; 5] = [&name.0, &record.encode(), &limit, &grace, &tolerance];
            let mut reply = match self.run(&self.scripts.create, partition, &args).await {
                Err(outage) if outage.may_have_happened() => {
                    self.take_back(partition, name);
                    return Err(outage.into());
                }
                reply => reply?,
            };
            match reply.status.as_str() {
                "ok" => {
                    let Head { created_at, expires_at, .. } = record.head;
                    return Ok(Created { id, created_at, expires_at });
                }
                "stale" => (),
                "full" => {
                    let retry_after = Duration::from_millis(reply.rest.number()?);
                    let max = self.settings.limits.max;
                    if reply.rest.number()? == 0 {
                        return Err(StoreError::Full { max, retry_after });
                    }
                    full = Some(StoreError::Full { max, retry_after });
                    // Records of a deleted domain still take up room.
                    self.make_room(partition).await;
                }
                _ => return Err(unintelligible()),
            }
        }
        Err(full.unwrap_or_else(|| Outage::Refused("the primary changes".into()).into()))
    }

    /// Removes what takes up room and cannot be used, for as long as a client can wait.
    async fn make_room(&self, partition: u16) {
        let deadline = Instant::now() + MAKING_ROOM;
        while self.sweep(partition).await == SHORT_PAUSE && Instant::now() < deadline {}
    }

    /// Seals a record for the primary and the time of a partition.
    fn seal(
        &self,
        partition: u16,
        id: &Id,
        new: &NewRecord<'_>,
        lifetime: Duration,
    ) -> Result<(Name, Record), StoreError> {
        let (keys, kind) = (self.keys(), self.settings.role.kind());
        let key = keys.sealing();
        let reading = self.clock.now(partition).ok_or_else(unintelligible)?;
        let limits = &self.settings.limits;
        let head = Head {
            key: key.tag(),
            incarnation: reading.incarnation,
            expires_at: reading.now + milliseconds(lifetime),
            idle_until: limits.idle.map_or(0, |idle| reading.now + milliseconds(idle)),
            created_at: reading.now,
            latest: reading.now + milliseconds(limits.max_lifetime.max(lifetime)),
            // The script writes it.
            generation: 0,
            domain: key.domain_tag(new.domain),
            messages: 0,
            bytes: 0,
        };
        let parts =
            Parts { kind, id, secret: new.secret, description: new.description, farewell: new.farewell };
        let name = key.name(kind, id);
        Ok((name, self.seal_parts(key, name, head, &parts)?))
    }

    pub(super) fn seal_parts(
        &self,
        key: &crate::sealing::StoreKey,
        name: Name,
        head: Head,
        parts: &Parts<'_>,
    ) -> Result<Record, StoreError> {
        let (end, incarnation) = (head.expires_at, head.incarnation);
        let data = |part, bytes: &[u8]| {
            key.seal_data(&Binding::of_name(parts.kind, part, name, end, incarnation), bytes)
        };
        let secret = Binding::secret(parts.kind, parts.id, end, incarnation);
        Ok(Record {
            head,
            secret: key.seal_secret(&secret, parts.secret)?.to_vec(),
            description: data(Part::Description, &[&parts.id.0, parts.description].concat())?,
            farewell: parts.farewell.map_or(Ok(Vec::new()), |farewell| data(Part::Farewell, farewell))?,
        })
    }

    /// Removes a record that may have been added, in the background.
    fn take_back(self: &Arc<Self>, partition: u16, name: Name) {
        if self.background.load(Ordering::SeqCst) >= MOST_IN_BACKGROUND {
            tracing::warn!(
                "too many requests wait for the store; a creation that was not confirmed may stay"
            );
            return;
        }
        let shared = Arc::clone(self);
        self.background.fetch_add(1, Ordering::SeqCst);
        tokio::spawn(async move {
            while shared.run(&shared.scripts.take_back, partition, &[&name.0]).await.is_err() {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            shared.background.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// What is sealed.
pub(super) struct Parts<'a> {
    pub(super) kind: Kind,
    pub(super) id: &'a Id,
    pub(super) secret: &'a Secret<32>,
    pub(super) description: &'a [u8],
    pub(super) farewell: Option<&'a [u8]>,
}
