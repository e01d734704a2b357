//! What a program finds that looks at a store and joins no nodes.

use redis::Value;

use super::open::{DEAD, OpenStoreError};
use crate::announcement::{NodeId, channel};
use crate::checks::{About, UnfitStore, Warning, ask, judge};
use crate::clock::milliseconds;
use crate::error::Outage;
use crate::link::Link;
use crate::link::address::Addresses;
use crate::reply::Fields;
use crate::settings::Role;

/// A store as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The programs of its servers and their versions, such as `Redis 7.2.4`.
    pub programs: Vec<String>,
    /// What weakens its guarantees, or why nodes do not start with it.
    pub fitness: Result<Vec<Warning>, UnfitStore>,
    /// The daemons that share it now.
    pub daemons: u64,
    /// The instances of a Content Server that share it now.
    pub content_servers: u64,
}

/// Looks at a store. Changes nothing, and needs no key. Needs a tokio runtime.
///
/// # Errors
/// [`OpenStoreError`].
pub async fn inspect(addresses: &Addresses) -> Result<Inspection, OpenStoreError> {
    // A channel on which nobody says anything.
    let channel = channel(Role::Daemon.letter(), &NodeId::default());
    let link = Link::open(addresses.clone(), channel, |_| ())?;
    let servers = ask(&link).await?;
    let mut programs: Vec<String> = servers.iter().map(About::program).collect();
    programs.sort();
    programs.dedup();
    Ok(Inspection {
        programs,
        fitness: judge(&servers),
        daemons: live(&link, Role::Daemon).await?,
        content_servers: live(&link, Role::ContentServer).await?,
    })
}

/// The nodes that have said something lately.
async fn live(link: &Link, role: Role) -> Result<u64, Outage> {
    let mut time = Fields::of(link.command(&redis::cmd("TIME")).await?)?;
    let seconds: u64 = time.text()?.parse().map_err(|_| Outage::Unintelligible)?;
    let since = (seconds * 1000).saturating_sub(milliseconds(DEAD));
    let mut count = redis::cmd("ZCOUNT");
    count.arg(format!("rke:{{{}}}:members", role.letter())).arg(since).arg("+inf");
    match link.command(&count).await? {
        Value::Int(count) => count.try_into().map_err(|_| Outage::Unintelligible),
        _ => Err(Outage::Unintelligible),
    }
}
