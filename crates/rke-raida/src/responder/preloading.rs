//! Master secrets that a Content Server preloads: who may, and what is logged about it. `docs/protocol.md` section 5.3.

use std::sync::PoisonError;

use rke_proto::coin::CoinId;
use rke_proto::command::{Preload, Preloading};
use rke_proto::{ContentServerId, KeySetId, Status};
use rke_secret::{Secret, run_unscoped};

use super::counters::Preloaded;
use super::{Responder, no_memory};
use crate::audit::NodeEvent;
use crate::key_sets::{KeySets, PreloadError};
use crate::replay::WINDOW_SECONDS;

impl Responder {
    /// The result of a preload outlives the datagram, so it is made on a different stack from the envelope's key.
    pub(super) fn preload_apart(
        &self,
        preload: &Preload<'_>,
        coin: CoinId,
        preloading: Preloading,
        now: u64,
    ) -> Result<(), Status> {
        let mut key_sets = self.key_sets.write().unwrap_or_else(PoisonError::into_inner);
        run_unscoped(|| self.preload(&mut key_sets, preload, coin, (preloading, now))).map_err(no_memory)?
    }

    fn preload(
        &self,
        key_sets: &mut KeySets,
        preload: &Preload<'_>,
        coin: CoinId,
        (preloading, now): (Preloading, u64),
    ) -> Result<(), Status> {
        let cs_id = preload.cs_id;
        let refuse = |error: Unpreloaded| Err(self.refuse_preload(&cs_id, (coin, now), &error));
        // The operator wants to hear about another coin's attempt, whatever coins are listed and whatever the clock
        // says.
        if let Some(owner) = key_sets.owner(&cs_id).filter(|owner| *owner != coin) {
            return refuse(PreloadError::OwnedBy(owner).into());
        }
        if matches!(preloading, Preloading::Dated(timestamp) if timestamp.abs_diff(now) > WINDOW_SECONDS) {
            return refuse(Unpreloaded::Stale);
        }
        if !self.operated.load().rules.preloaders.permit(coin, &cs_id) {
            return refuse(Unpreloaded::NotPermitted);
        }
        let copy = |(key_set, master): (_, &[u8; 32])| {
            Ok((key_set, Secret::fill(|slot| slot.copy_from_slice(master)).map_err(no_memory)?))
        };
        let masters = preload.key_sets().map(copy).collect::<Result<Vec<_>, Status>>()?;
        let is_first = key_sets.owner(&cs_id).is_none();
        let names: Vec<String> = masters.iter().map(|(key_set, _)| KeySetId::to_string(key_set)).collect();
        match key_sets.preload(cs_id, coin, preloading, masters) {
            Ok(()) => {
                self.counters.preloads.add(Preloaded::Stored);
                let key_sets = names.join(", ");
                tracing::info!(raida = %self.raida, %cs_id, %coin, key_sets, "master secrets preloaded");
                let (cs_id, coin) = (cs_id.to_string(), coin.to_string());
                if is_first {
                    tracing::info!(raida = %self.raida, %cs_id, %coin, "the coin owns this Content Server ID from now on");
                    self.audit.record(NodeEvent::IdTaken { cs_id: cs_id.clone(), owner: coin.clone() });
                }
                self.audit.record(NodeEvent::KeySetsPreloaded { cs_id, coin, key_sets });
                Ok(())
            }
            Err(error) => refuse(error.into()),
        }
    }

    /// The status of a refused preload. What the operator has to look into goes to the log.
    fn refuse_preload(
        &self,
        cs_id: &ContentServerId,
        (coin, now): (CoinId, u64),
        error: &Unpreloaded,
    ) -> Status {
        let raida = self.raida;
        self.audit.record(NodeEvent::PreloadRefused {
            reason: error.name(),
            count: 1,
            cs_id: Some(cs_id.to_string()),
            coin: Some(coin.to_string()),
        });
        if let Unpreloaded::Refused(PreloadError::Seal(_) | PreloadError::Owners(_)) = error {
            self.counters.preloads.add(Preloaded::Failed);
            tracing::error!(%raida, %cs_id, %error, "a preload could not be stored");
            return Status::INTERNAL;
        }
        self.counters.preloads.add(Preloaded::Refused);
        if let Some(left_out) = self.refused_preloads.take(now) {
            tracing::warn!(%raida, %cs_id, %coin, reason = %error, left_out, "refused a preload");
        }
        match error {
            Unpreloaded::Refused(PreloadError::OwnedBy(_) | PreloadError::Different(_)) => {
                Status::OWNED_BY_ANOTHER
            }
            _ => Status::BAD_PARAMETER,
        }
    }
}

/// Why a preload is refused.
#[derive(Debug, thiserror::Error)]
enum Unpreloaded {
    #[error("its timestamp is too far from this machine's clock")]
    Stale,
    #[error("the coin is not a preloader of this Content Server ID; --preloader names those that are")]
    NotPermitted,
    #[error(transparent)]
    Refused(#[from] PreloadError),
}

impl Unpreloaded {
    /// Its name in the audit log.
    fn name(&self) -> &'static str {
        match self {
            Self::Stale => "stale",
            Self::NotPermitted => "not_permitted",
            Self::Refused(PreloadError::OwnedBy(_)) => "owned_by_another",
            Self::Refused(PreloadError::Different(_)) => "another_secret",
            Self::Refused(PreloadError::NotLater) => "not_later",
            Self::Refused(PreloadError::Seal(_) | PreloadError::Owners(_)) => "not_stored",
        }
    }
}
