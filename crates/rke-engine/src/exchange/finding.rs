//! Where an exchange finds a Content Server and its RAIDAs: in DNS, and in the directories that say which RAIDA a
//! server is.

use std::sync::Arc;

use rke_proto::directory::Directory;
use tokio::time::{Instant, timeout_at};

use super::{Exchange, ExchangeConfig};
use crate::Domain;
use crate::discovery::{Discovered, DiscoveryError};
use crate::guardians::{AgreedDirectory, Guardians};
use crate::trust::Pin;

impl Exchange {
    /// Applies other rules, another directory of RAIDAs, other guardians and other pins.
    pub fn change(&self, rules: ExchangeConfig, directory: Directory, guardians: Guardians, pins: Vec<Pin>) {
        self.rules.store(Arc::new(rules));
        self.known.set_pins(pins);
        self.discovery.set_directory(directory);
        self.agreed.change(guardians, &self.discovery);
    }

    /// Asks the guardians, at once and from time to time.
    pub async fn keep_directory(&self) {
        self.agreed.keep(&self.discovery).await;
    }

    /// The directory that the guardians agree on.
    pub fn agreed_directory(&self) -> &AgreedDirectory {
        &self.agreed
    }

    /// Finds a domain's Content Server. If no key set can be used because nothing says which RAIDAs its servers are,
    /// the guardians are asked, if the deadline leaves time for it.
    ///
    /// # Errors
    /// [`DiscoveryError`], also if the deadline passes first.
    pub async fn discover(&self, domain: &Domain, deadline: Instant) -> Result<Discovered, DiscoveryError> {
        let discover = || async {
            let discovered = timeout_at(deadline, self.discovery.discover(domain)).await;
            discovered.unwrap_or(Err(DiscoveryError::TimedOut))
        };
        let discovered = discover().await?;
        let lacks_indexes = discovered.sets.choose().is_none() && discovered.sets.unindexed > 0;
        match lacks_indexes && timeout_at(deadline, self.agreed.fill()).await == Ok(true) {
            true => discover().await,
            false => Ok(discovered),
        }
    }

    /// Ignores what was looked up so far, whatever its time to live.
    pub fn look_again(&self) {
        self.discovery.look_again();
    }
}
