//! The memory of first packets that the instances of a Content Server share, so that a replayed one is refused by all.

use std::time::Duration;

use rke_proto::cipher::HMAC_LEN;

use super::{Store, number, unintelligible};
use crate::clock::milliseconds;
use crate::error::StoreError;
use crate::name::Id;

/// How many first packets are remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayLimits {
    pub all: u64,
    /// Of one owner.
    pub of_owner: u64,
}

/// Why a first packet is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum NotRemembered {
    /// An instance has accepted it before.
    #[error("the packet was accepted before")]
    Replayed,
    /// The memory, or the owner's part of it, is full.
    #[error("the memory of first packets is full")]
    Full,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Store {
    /// Remembers a first packet by its hash. It counts on each of its owners.
    ///
    /// # Errors
    /// [`NotRemembered`]; then do not accept it. A packet whose memory is not confirmed is not accepted either, by any instance.
    pub async fn remember(
        &self,
        packet: &[u8; HMAC_LEN],
        owners: &[&str],
        lifetime: Duration,
        limits: ReplayLimits,
    ) -> Result<(), NotRemembered> {
        let shared = &self.shared;
        let mut id = [0; 16];
        id.copy_from_slice(&packet[..16]);
        let partition = shared.partition(&Id(id));
        let part = |all: u64| number(all.div_ceil(shared.partitions.into()));
        // The hash of a packet that went over the wire is known to everybody on the path. Owners are not.
        let tags: Vec<_> = owners.iter().map(|owner| shared.keys().sealing().domain_tag(owner)).collect();
        let (lifetime, all, own) = (number(milliseconds(lifetime)), part(limits.all), part(limits.of_owner));
        let mut args: Vec<&[u8]> = vec![packet, &lifetime, &all, &own];
        args.extend(tags.iter().map(|tag| tag.0.as_slice()));
        let reply = shared.run(&shared.scripts.remember, partition, &args).await.map_err(StoreError::from)?;
        match reply.status.as_str() {
            // What an old primary has accepted, a new one may not know.
            "ok" if reply.is_young => {
                Err(StoreError::Unsettled { retry_after: shared.settings.settle }.into())
            }
            "ok" => Ok(()),
            "replayed" => Err(NotRemembered::Replayed),
            "full" => Err(NotRemembered::Full),
            _ => Err(unintelligible().into()),
        }
    }
}
