//! How a node opens the store, and tells the others that it is there.

use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use redis::PushInfo;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, channel as queue};
use tokio::time::timeout;

use super::membership::Membership;
use super::refusals::Refusals;
use super::{OnEnded, Shared, Store, number};
use crate::announcement::{NodeId, channel};
use crate::checks::{UnfitStore, Warning, check};
use crate::clock::{BootTime, StoreClock, milliseconds};
use crate::error::{Outage, StoreError};
use crate::holds::{Holder, Holds, Which};
use crate::key_file::{self, KeyFileError, StoreKeys};
use crate::link::Link;
use crate::link::address::{AddressError, Addresses};
use crate::name::{Id, KeyTag};
use crate::reply::Fields;
use crate::scripts::Scripts;
use crate::settings::{Role, Settings, differences};

/// How often a node says that it is alive.
const WORD: Duration = Duration::from_secs(3);

/// How long without a word a node counts as dead.
pub(super) const DEAD: Duration = Duration::from_secs(15);

/// The most messages of other nodes that wait to be read.
const MOST_MESSAGES: usize = 10_000;

/// Why a node cannot use the store, and does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenStoreError {
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error(transparent)]
    Unfit(#[from] UnfitStore),
    #[error(
        "other machines share this store with other limits: {0}. Start all of them with the same, or stop the others to \
         change them"
    )]
    OtherLimits(String),
    #[error("the store cannot be used at the moment: {0}")]
    Outage(#[from] Outage),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Random(#[from] getrandom::Error),
}

impl Store {
    /// Connects, checks the store, and joins the nodes that share it. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`OpenStoreError`].
    pub async fn open(
        settings: Settings,
        holder: Arc<dyn Holder>,
        on_ended: OnEnded,
    ) -> Result<(Self, Vec<Warning>), OpenStoreError> {
        Self::with_scripts(
            settings,
            holder,
            on_ended,
            Scripts::new(),
            #[cfg(test)]
            None,
        )
        .await
    }

    #[cfg(test)]
    pub(crate) async fn with_fault(
        settings: Settings,
        holder: Arc<dyn Holder>,
        on_ended: OnEnded,
        fault: crate::fault::Fault,
    ) -> Result<(Self, Vec<Warning>), OpenStoreError> {
        Self::with_scripts(settings, holder, on_ended, Scripts::with(fault), Some(fault)).await
    }

    async fn with_scripts(
        settings: Settings,
        holder: Arc<dyn Holder>,
        on_ended: OnEnded,
        scripts: Scripts,
        #[cfg(test)] fault: Option<crate::fault::Fault>,
    ) -> Result<(Self, Vec<Warning>), OpenStoreError> {
        let (shared, pushes) = Shared::connect(
            settings,
            holder,
            on_ended,
            scripts,
            #[cfg(test)]
            fault,
        )?;
        let warnings = check(&shared.link).await??;
        shared.join().await?;
        for partition in 0..shared.partitions {
            shared.run(&shared.scripts.count, partition, &[]).await?;
        }
        let tasks = vec![
            tokio::spawn(listen(Arc::clone(&shared), pushes)),
            tokio::spawn(keep_joined(Arc::clone(&shared))),
            tokio::spawn(super::node::sweep(Arc::clone(&shared))),
        ];
        Ok((Self { shared, tasks }, warnings))
    }

    /// Whether the store can be used now.
    pub fn is_up(&self) -> bool {
        self.outage().is_none()
    }

    /// Why the store cannot be used now, or refuses changes, if so.
    pub fn outage(&self) -> Option<Outage> {
        let Shared { link, refusals, membership, .. } = &*self.shared;
        match membership.check().err() {
            // A node that may not join asks for nothing, so what was refused before that is old.
            Some(Outage::OtherLimits) => link.outage().or(Some(Outage::OtherLimits)),
            // What it refuses says more than that it has forgotten this node meanwhile.
            apart => link.outage().or_else(|| refusals.first()).or(apart),
        }
    }

    /// Reads the key file again, for [`Self::use_keys`].
    ///
    /// # Errors
    /// [`KeyFileError`].
    pub fn read_keys(&self) -> Result<Arc<StoreKeys>, KeyFileError> {
        key_file::read(&self.shared.settings.key_file).map(Arc::new)
    }

    /// Uses these keys from now on. Several stores that share a key file take the same ones, so none is without a key that another has.
    pub fn use_keys(&self, keys: Arc<StoreKeys>) {
        *self.shared.keys.write().unwrap_or_else(std::sync::PoisonError::into_inner) = keys;
    }

    /// The keys that have sealed records which are not over yet. The others may leave the key file.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keys_in_use(&self) -> Result<Vec<KeyTag>, StoreError> {
        self.shared.keys_in_use().await
    }
}

/// The keys that have sealed records which are not over yet, of daemons and of Content Servers. Others may leave the key file.
/// Joins no nodes. Needs a tokio runtime.
///
/// # Errors
/// [`OpenStoreError`].
pub async fn keys_in_use(addresses: &Addresses, key_file: &Path) -> Result<Vec<KeyTag>, OpenStoreError> {
    let mut in_use = Vec::new();
    for role in [Role::Daemon, Role::ContentServer, Role::Resumptions] {
        let settings = Settings::of_a_visitor(addresses.clone(), key_file.into(), role);
        let (shared, _pushes) = Shared::connect(
            settings,
            Arc::new(NoCopies),
            Box::new(|_, _, _| ()),
            Scripts::new(),
            #[cfg(test)]
            None,
        )?;
        in_use.extend(shared.keys_in_use().await?);
    }
    Ok(in_use)
}

/// What a program holds that only asks.
struct NoCopies;

impl Holder for NoCopies {
    fn wipe(&self, _: &Id) {}
}

impl Shared {
    /// Begins to connect. Returns what the store pushes too.
    fn connect(
        settings: Settings,
        holder: Arc<dyn Holder>,
        on_ended: OnEnded,
        scripts: Scripts,
        #[cfg(test)] fault: Option<crate::fault::Fault>,
    ) -> Result<(Arc<Self>, Receiver<PushInfo>), OpenStoreError> {
        let keys = Arc::new(key_file::read(&settings.key_file)?);
        let mut node = NodeId::default();
        getrandom::fill(&mut node)?;
        let (sender, pushes) = queue(MOST_MESSAGES);
        let holds = Arc::new(Holds::new(holder));
        let held = Arc::clone(&holds);
        let on_push = move |push| {
            // Too many, of which one is not read. The receiver ends with the store.
            if let Err(TrySendError::Full(_)) = sender.try_send(push) {
                held.end(&Which::All);
            }
        };
        let channel = channel(settings.role.letter(), &node);
        let partitions = settings.addresses.partitions();
        let shared = Arc::new(Shared {
            link: Link::open(settings.addresses.clone(), channel, on_push)?,
            keys: RwLock::new(keys),
            scripts,
            clock: StoreClock::new(partitions),
            partitions,
            holds,
            membership: Membership::of_a_visitor(),
            refusals: Refusals::default(),
            node,
            waiting: Mutex::default(),
            background: 0.into(),
            on_ended,
            settings,
            #[cfg(test)]
            fault,
        });
        Ok((shared, pushes))
    }

    async fn keys_in_use(&self) -> Result<Vec<KeyTag>, StoreError> {
        let mut in_use = Vec::new();
        for partition in 0..self.partitions {
            let mut reply = self.run(&self.scripts.count, partition, &[]).await?;
            reply.rest.number()?;
            reply.rest.number()?;
            in_use.extend(reply.rest.arrays()?.into_iter().map(KeyTag));
            in_use.extend(self.keys_of_known(partition).await?);
        }
        in_use.sort_by_key(|tag| tag.0);
        in_use.dedup();
        Ok(in_use)
    }

    /// Says that this node is alive, and compares its limits with those of the others. If they differ, it holds nothing any longer.
    async fn join(&self) -> Result<(), OpenStoreError> {
        let asked = BootTime::now();
        let limits = self.settings.limits.to_text(self.partitions);
        let prefix = format!("rke:{{{}}}:", self.settings.role.letter());
        let dead = number(milliseconds(DEAD));
        let value = self
            .link
            .run(&self.scripts.join, prefix.as_bytes(), &[&self.node, limits.as_bytes(), &dead])
            .await?;
        let mut fields = Fields::of(value)?;
        match fields.text()?.as_str() {
            "differs" => {
                self.membership.differ();
                self.holds.end(&Which::All);
                Err(OpenStoreError::OtherLimits(differences(&limits, &fields.text()?)))
            }
            _ => {
                // What it holds by then is over before others may forget it.
                self.membership.join(asked.after(DEAD.saturating_sub(self.settings.limits.hold)));
                Ok(())
            }
        }
    }
}

async fn keep_joined(shared: Arc<Shared>) {
    let mut is_reported = false;
    loop {
        let _ = timeout(WORD, shared.membership.wanted.notified()).await;
        match shared.join().await {
            Err(error @ OpenStoreError::OtherLimits(_)) if !is_reported => {
                tracing::error!(%error, "this machine does not share the store's limits any longer, and serves no session");
                is_reported = true;
            }
            Ok(()) => is_reported = false,
            Err(_) => (),
        }
    }
}

async fn listen(shared: Arc<Shared>, mut pushes: Receiver<PushInfo>) {
    while let Some(push) = pushes.recv().await {
        if let Some(wiping) = shared.receive(&push) {
            let shared = Arc::clone(&shared);
            tokio::spawn(async move { shared.respond(wiping).await });
        }
    }
}
