//! Looks a domain up in DNS as a daemon would, but without a daemon.

use std::net::SocketAddr;
use std::time::Duration;

use rke_client::response::{Raidas, Status};
use rke_engine::Domain;
use rke_engine::discovery::{Discovered, Discovery, DiscoveryError, Failure, Published, Validation, reach};
use rke_host::directory;
use rke_proto::RaidaIndex;
use rke_proto::directory::Directory;
use rke_proto::reach::Reach;
use tokio::time::timeout;

use crate::cli::look_up::LookUpOptions;

/// The limit for all of discovery. Single look-ups can outlive their own deadlines.
const PATIENCE: Duration = Duration::from_secs(10);

/// Looks the domain up in DNS. If a daemon is known, it uses the daemon's DNS server and the RAIDA directory of the
/// daemon's guardians.
///
/// # Errors
/// A description of the failure, for people.
pub(crate) async fn discover(
    options: &LookUpOptions,
    domain: &Domain,
    status: Option<&Status>,
    raidas: Option<&Raidas>,
) -> Result<(Discovery, Discovered), String> {
    let directory = match &options.raida_directory {
        Some(path) => directory::load(path).await.map_err(|error| error.to_string())?,
        None => Directory::default(),
    };
    let directory = match raidas {
        Some(raidas) => directory.with_agreed(agreed(raidas)),
        None => directory,
    };
    let of_daemon = || status?.config.dns_server.as_ref()?.parse().ok();
    let dns_server = options.dns_server.or_else(of_daemon);
    let reach = reach(dns_server, options.allow_private_raidas);
    let discovery = Discovery::new(dns_server, Validation::off(), directory, reach);
    let found = timeout(PATIENCE, discovery.discover(domain)).await;
    let found = found.unwrap_or(Err(DiscoveryError::TimedOut)).map_err(|error| in_words(&error))?;
    Ok((discovery, found))
}

/// The records of a domain as DNS has them, whatever they say.
pub(crate) async fn published(options: &LookUpOptions, domain: &Domain) -> Published {
    let discovery =
        Discovery::new(options.dns_server, Validation::off(), Directory::default(), Reach::Everywhere);
    let published = timeout(PATIENCE, discovery.published(domain)).await;
    let too_late = || DiscoveryError::TimedOut;
    published.unwrap_or_else(|_| Published { targets: Err(too_late()), texts: Err(too_late()) })
}

/// The error in words. What the daemon advises its operator is a flag of the command itself here.
pub(crate) fn in_words(error: &DiscoveryError) -> String {
    const ADVICE: &str = "Check the network, or name a DNS server with --dns-server";
    match error {
        DiscoveryError::TimedOut => format!("no response from DNS in time. {ADVICE}"),
        DiscoveryError::LookUp { record, name, failure: Failure::Unanswered(servers) } => {
            format!("{record} look-up of {name}: {servers}. {ADVICE}")
        }
        error => error.to_string(),
    }
}

/// The endpoints that the daemon's guardians agree on.
fn agreed(raidas: &Raidas) -> Vec<(SocketAddr, RaidaIndex)> {
    let entries = raidas.directory.iter().flat_map(|directory| &directory.raidas);
    let endpoints = entries.flat_map(|entry| {
        let endpoint = |text: &String| Some((text.parse().ok()?, RaidaIndex::new(entry.raida)?));
        entry.endpoints.iter().filter_map(endpoint)
    });
    endpoints.collect()
}
