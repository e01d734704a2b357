//! Resumption secrets: one exchange serves all nodes.
//!
//! An entry serves a wallet that holds its coins, so a domain may have several, and they lie together in the partition of the domain.
//! They are read for each use and not kept.

use std::time::Duration;

use rke_secret::Secret;
use sha2::{Digest, Sha256};

use super::create::Parts;
use super::{EndedRecord, Shared, Store, number, unintelligible};
use crate::clock::milliseconds;
use crate::error::StoreError;
use crate::name::{DomainTag, Id, Kind, Name};
use crate::record::{Head, Record};
use crate::sealing::Binding;

/// How long other nodes wait for an exchange before one of them begins its own. Two are harmless.
const EXCHANGE_DEADLINE: Duration = Duration::from_secs(10);

/// Whose turn it is to make an exchange for a domain.
pub enum Turn {
    /// This node's.
    Own(Exchange),
    /// Another's, for this long. Then look in the cache again.
    Others(Duration),
}

/// An exchange that this node makes for all. End it with [`Store::end_exchange`]; if the node dies, its turn passes.
pub struct Exchange {
    partition: u16,
    tag: DomainTag,
    token: [u8; 8],
    /// What the domain's generation was when it began.
    generation: Vec<u8>,
}

/// What an exchange has given.
pub struct NewEntry<'a> {
    /// What it is for: the same for the same domain and coins.
    pub id: Id,
    pub secret: &'a Secret<32>,
    /// What may be shown about it. Sealed.
    pub description: &'a [u8],
    /// What is needed to have it wiped at the other end. Sealed.
    pub farewell: Option<&'a [u8]>,
    pub lifetime: Duration,
    /// The most entries that the store keeps.
    pub most: u64,
}

/// An entry that can be used.
pub struct CacheEntry {
    pub id: Id,
    pub secret: Secret<32>,
    pub description: Vec<u8>,
    /// In milliseconds of the store's clock since 1970.
    pub expires_at: u64,
}

/// What may be shown about an entry.
pub struct CacheRow {
    pub id: Id,
    pub description: Vec<u8>,
    /// In milliseconds of the store's clock since 1970.
    pub expires_at: u64,
}

impl Store {
    /// All entries.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cache_rows(&self) -> Result<Vec<CacheRow>, StoreError> {
        let (shared, kind) = (&self.shared, self.shared.settings.role.resumptions());
        let mut rows = Vec::new();
        for partition in 0..shared.partitions {
            let mut reply = shared.run(&shared.scripts.cache_list, partition, &[]).await?;
            for (name, record) in reply.rest.records()? {
                let (id, rest) = shared.open_rest_of(kind, name, &record)?;
                let (description, expires_at) = (rest.description, record.head.expires_at);
                rows.push(CacheRow { id, description, expires_at });
            }
        }
        Ok(rows)
    }

    /// The entries of a domain.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cached(&self, domain: &str) -> Result<Vec<CacheEntry>, StoreError> {
        let shared = &self.shared;
        let tags = shared.keys().domain_tags(domain);
        let args: Vec<&[u8]> = tags.iter().map(|tag| tag.0.as_slice()).collect();
        let mut reply = shared.run(&shared.scripts.cache_read, shared.partition_of(domain), &args).await?;
        let entries = reply.rest.records()?;
        // One of a key that this node does not have is no use to it.
        let known = |(_, record): &(Name, Record)| shared.keys().opening(record.head.key).is_some();
        entries.into_iter().filter(known).map(|(name, record)| shared.open_entry(name, &record)).collect()
    }

    /// Begins an exchange, unless another node has one under way.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn begin_exchange(&self, domain: &str) -> Result<Turn, StoreError> {
        let shared = &self.shared;
        let (partition, tag) = (shared.partition_of(domain), shared.keys().sealing().domain_tag(domain));
        let mut token = [0; 8];
        getrandom::fill(&mut token)?;
        let deadline = number(milliseconds(EXCHANGE_DEADLINE));
        let mut reply =
            shared.run(&shared.scripts.cache_begin, partition, &[&tag.0, &token, &deadline]).await?;
        match reply.status.as_str() {
            "ok" => Ok(Turn::Own(Exchange { partition, tag, token, generation: reply.rest.bytes()? })),
            "busy" => Ok(Turn::Others(Duration::from_millis(reply.rest.number()?))),
            _ => Err(unintelligible()),
        }
    }

    /// Keeps what an exchange has given. Returns what had to make room, or `None` if the domain was forgotten since the exchange
    /// began: then nothing is kept.
    ///
    /// # Errors
    /// [`StoreError`]; then perhaps nothing is kept.
    pub async fn keep(
        &self,
        exchange: &Exchange,
        domain: &str,
        new: &NewEntry<'_>,
    ) -> Result<Option<Vec<EndedRecord>>, StoreError> {
        let shared = &self.shared;
        let most = number(new.most.div_ceil(shared.partitions.into()));
        for _ in 0..2 {
            let (name, record) = shared.seal_entry(exchange, domain, new)?;
            let (tag, record) = (&exchange.tag.0, record.encode());
            let args: [&[u8]; 5] = [tag, &exchange.generation, &name.0, &record, &most];
            let mut reply = shared.run(&shared.scripts.cache_put, exchange.partition, &args).await?;
            match reply.status.as_str() {
                "ok" => return shared.open_removed(reply.rest.records()?).map(Some),
                "forgotten" => return Ok(None),
                "stale" => (),
                _ => return Err(unintelligible()),
            }
        }
        Ok(None)
    }

    /// Ends an exchange, so that others need not wait for it.
    pub async fn end_exchange(&self, exchange: Exchange) {
        let shared = &self.shared;
        let args: [&[u8]; 2] = [&exchange.tag.0, &exchange.token];
        // If it fails, the others wait for the deadline.
        let _ = shared.run(&shared.scripts.cache_end, exchange.partition, &args).await;
    }

    /// Removes the entries of a domain, or all. An exchange that is under way adds none. Returns what was removed.
    ///
    /// # Errors
    /// [`StoreError`]; some may then be removed and others not.
    pub async fn forget(&self, domain: Option<&str>) -> Result<Vec<EndedRecord>, StoreError> {
        let shared = &self.shared;
        let Some(domain) = domain else {
            let mut removed = Vec::new();
            for partition in 0..shared.partitions {
                let mut reply = shared.run(&shared.scripts.cache_forget, partition, &[b""]).await?;
                removed.extend(shared.open_removed(reply.rest.records()?)?);
            }
            return Ok(removed);
        };
        self.forget_entries(domain, b"").await
    }

    /// Removes one entry, which the other end has refused. Returns it, unless another node has removed it already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_entry(&self, domain: &str, id: &Id) -> Result<Option<EndedRecord>, StoreError> {
        for name in self.shared.keys().names(self.shared.settings.role.resumptions(), id) {
            if let Some(removed) = self.forget_entries(domain, &name.0).await?.pop() {
                return Ok(Some(removed));
            }
        }
        Ok(None)
    }

    async fn forget_entries(&self, domain: &str, name: &[u8]) -> Result<Vec<EndedRecord>, StoreError> {
        let shared = &self.shared;
        let tags = shared.keys().domain_tags(domain);
        let mut args = vec![name];
        args.extend(tags.iter().map(|tag| tag.0.as_slice()));
        let mut reply = shared.run(&shared.scripts.cache_forget, shared.partition_of(domain), &args).await?;
        let removed = shared.open_removed(reply.rest.records()?)?;
        match shared.has_keys(&reply.rest.arrays()?) {
            true => Ok(removed),
            false => Err(StoreError::OtherKeys),
        }
    }
}

impl Shared {
    /// The partition of a domain's entries. It shows the store no more than its own number about the domain.
    pub(super) fn partition_of(&self, domain: &str) -> u16 {
        let digest: [u8; 32] = Sha256::digest(domain).into();
        let mut id = [0; 16];
        id.copy_from_slice(&digest[..16]);
        self.partition(&Id(id))
    }

    fn seal_entry(
        &self,
        exchange: &Exchange,
        domain: &str,
        new: &NewEntry<'_>,
    ) -> Result<(Name, Record), StoreError> {
        let (keys, kind) = (self.keys(), self.settings.role.resumptions());
        let key =
            keys.all().find(|key| key.domain_tag(domain) == exchange.tag).ok_or(StoreError::OtherKeys)?;
        let reading = self.clock.now(exchange.partition).ok_or_else(unintelligible)?;
        let expires_at = reading.now + milliseconds(new.lifetime);
        let head = Head {
            key: key.tag(),
            incarnation: reading.incarnation,
            expires_at,
            idle_until: 0,
            created_at: reading.now,
            latest: expires_at,
            generation: 0,
            domain: exchange.tag,
            messages: 0,
            bytes: 0,
        };
        let parts = Parts {
            kind,
            id: &new.id,
            secret: new.secret,
            description: new.description,
            farewell: new.farewell,
        };
        let name = key.name(kind, &new.id);
        Ok((name, self.seal_parts(key, name, head, &parts)?))
    }

    fn open_entry(&self, name: Name, record: &Record) -> Result<CacheEntry, StoreError> {
        let (kind, head) = (self.settings.role.resumptions(), &record.head);
        let (id, rest) = self.open_rest_of(kind, name, record)?;
        let keys = self.keys();
        let key = keys.opening(head.key).ok_or(StoreError::OtherKeys)?;
        let from = Binding::secret(kind, &id, head.expires_at, head.incarnation);
        let secret = key.open_secret(&from, &record.secret)?;
        Ok(CacheEntry { id, secret, description: rest.description, expires_at: head.expires_at })
    }

    fn open_removed(&self, removed: Vec<(Name, Record)>) -> Result<Vec<EndedRecord>, StoreError> {
        let kind: Kind = self.settings.role.resumptions();
        removed.into_iter().map(|(name, record)| Ok(self.open_rest_of(kind, name, &record)?.1)).collect()
    }
}
