//! The cache of resumption secrets that all machines share: one exchange serves them all. No machine keeps what it has read.

use std::sync::Arc;
use std::time::Duration;

use rke_proto::coin::CoinId;
use rke_proto::handshake::keys::{forget_proof, forget_token};
use rke_proto::handshake::{ID_LEN, ResumptionId};
use rke_shared_store::{EndedRecord, Exchange, Id, NewEntry, StoreError, Turn};

use super::Shared;
use super::description::{Description, Farewell};
use crate::Domain;
use crate::exchange::{Kept, KeptSecret};
use crate::keys::{CachedKeyInfo, Limits, name_of_entry};
use crate::model::clock::{timestamp, unix_seconds};
use crate::model::remote_deletion::RemoteDeletion;
use crate::model::viewer::Viewer;

/// A domain's turn, among all machines. Others get theirs when this is dropped.
pub(in super::super) struct OwnExchange {
    shared: Arc<Shared>,
    exchange: Option<Exchange>,
}

impl Drop for OwnExchange {
    fn drop(&mut self) {
        if let Some(exchange) = self.exchange.take() {
            let shared = Arc::clone(&self.shared);
            tokio::spawn(async move { shared.store.end_exchange(exchange).await });
        }
    }
}

impl Shared {
    /// What the cache has for a domain.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) async fn cached(&self, domain: &Domain) -> Result<Vec<Kept>, StoreError> {
        let entries = self.store.cached(domain.as_str()).await?;
        let kept = entries.into_iter().map(|entry| {
            let described = Description::decode(&entry.description).map_err(|_| StoreError::Damaged)?;
            let (id, lives_until) = (ResumptionId(described.id), described.lives_until.into());
            let secret = KeptSecret::Resumption { secret: entry.secret, id, lives_until };
            Ok(Kept { origin: described.origin, secret })
        });
        kept.collect()
    }

    /// Takes a domain's turn, unless another machine has it for this long.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) async fn begin_exchange(
        self: &Arc<Self>,
        domain: &Domain,
    ) -> Result<Result<OwnExchange, Duration>, StoreError> {
        Ok(match self.store.begin_exchange(domain.as_str()).await? {
            Turn::Own(exchange) => Ok(OwnExchange { shared: Arc::clone(self), exchange: Some(exchange) }),
            Turn::Others(left) => Err(left),
        })
    }

    /// Keeps what an exchange has given for a viewer. It replaces an older entry only if the viewer may see that one.
    ///
    /// # Errors
    /// [`StoreError`]; then perhaps nothing is kept.
    pub(in super::super) async fn keep_exchange(
        &self,
        own: &OwnExchange,
        kept: &Kept,
        viewer: &Viewer,
        limits: Limits,
    ) -> Result<(), StoreError> {
        let (KeptSecret::Resumption { secret, id: name, lives_until }, Some(exchange)) =
            (&kept.secret, &own.exchange)
        else {
            return Ok(());
        };
        let id = entry_id(kept);
        let left = lives_until.saturating_sub(unix_seconds()).min(limits.ttl_hours.saturating_mul(3600));
        if limits.max == 0 || left == 0 || self.hides(id, viewer).await? {
            return Ok(());
        }
        let described = Description {
            origin: Arc::clone(&kept.origin),
            page: viewer.page().cloned(),
            from_cache: false,
            id: name.0,
            lives_until: (*lives_until).try_into().unwrap_or(u32::MAX),
        };
        let (token, proof) = secret.expose(|secret| (forget_token(secret), forget_proof(secret)));
        let new = NewEntry {
            id,
            secret,
            description: &described.to_bytes().ok_or(StoreError::Damaged)?,
            farewell: Some(&Farewell { token, proof }.to_bytes()),
            lifetime: Duration::from_secs(left),
            most: limits.max as u64,
        };
        self.store.keep(exchange, kept.origin.domain.as_str(), &new).await.map(drop)
    }

    /// Whether there is an entry with this id that the viewer may not see.
    async fn hides(&self, id: Id, viewer: &Viewer) -> Result<bool, StoreError> {
        if *viewer == Viewer::Program {
            return Ok(false);
        }
        let rows = self.described_cache().await?;
        Ok(rows.iter().any(|(of, described, _)| *of == id && !viewer.sees(described.page.as_ref())))
    }

    /// Removes an entry that the Content Server has refused.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) async fn give_up(&self, kept: &Kept) -> Result<(), StoreError> {
        self.store.forget_entry(kept.origin.domain.as_str(), &entry_id(kept)).await.map(drop)
    }

    /// Removes the entries that the viewer may see, all of them or those of a domain, and has them wiped at the other end. Returns how
    /// many there were.
    ///
    /// # Errors
    /// [`StoreError`]; some may then be removed and others not.
    pub(in super::super) async fn forget_cached(
        &self,
        domain: Option<&Domain>,
        viewer: &Viewer,
    ) -> Result<usize, StoreError> {
        let removed = match viewer {
            Viewer::Program => self.store.forget(domain.map(Domain::as_str)).await?,
            Viewer::Page(_) | Viewer::NullOrigin => self.forget_of_page(domain, viewer).await?,
        };
        let deletions: Vec<RemoteDeletion> = removed.iter().filter_map(deletion).collect();
        if let Some(remote) = self.remote.upgrade() {
            remote.submit(deletions);
        }
        Ok(removed.len())
    }

    async fn forget_of_page(
        &self,
        domain: Option<&Domain>,
        viewer: &Viewer,
    ) -> Result<Vec<EndedRecord>, StoreError> {
        let mut removed = Vec::new();
        for (id, described, _) in self.described_cache().await? {
            let of = &described.origin.domain;
            if viewer.sees(described.page.as_ref()) && domain.is_none_or(|domain| domain == of) {
                removed.extend(self.store.forget_entry(of.as_str(), &id).await?);
            }
        }
        Ok(removed)
    }

    /// The entries that the viewer may see.
    ///
    /// # Errors
    /// [`StoreError`].
    pub(in super::super) async fn cache_rows(
        &self,
        viewer: &Viewer,
    ) -> Result<Vec<CachedKeyInfo>, StoreError> {
        let rows = self.described_cache().await?.into_iter();
        let seen = rows.filter(|(_, described, _)| viewer.sees(described.page.as_ref()));
        let row = |(_, described, expires_at): (Id, Description, u64)| {
            let origin = described.origin;
            CachedKeyInfo {
                domain: origin.domain.clone(),
                cs_id: origin.cs_id,
                form: origin.form,
                coins: origin.coins.clone(),
                expires_at: timestamp(expires_at / 1000),
            }
        };
        Ok(seen.map(row).collect())
    }

    async fn described_cache(&self) -> Result<Vec<(Id, Description, u64)>, StoreError> {
        let rows = self.store.cache_rows().await?.into_iter();
        let described = rows.map(|row| {
            let described = Description::decode(&row.description).map_err(|_| StoreError::Damaged)?;
            Ok((row.id, described, row.expires_at))
        });
        described.collect()
    }
}

/// The same for the same domain and coins.
fn entry_id(kept: &Kept) -> Id {
    let name: [u8; ID_LEN] = name_of_entry(&kept.origin.domain, &kept.origin.coins as &[CoinId]);
    Id(name)
}

fn deletion(removed: &EndedRecord) -> Option<RemoteDeletion> {
    let described = Description::decode(&removed.description).ok()?;
    let farewell = Farewell::decode(removed.farewell.as_deref()?).ok()?;
    Some(described.deletion(farewell))
}
