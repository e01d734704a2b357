//! All guardians are asked at once, and their lists are compared.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{FuturesUnordered, StreamExt};
use rke_proto::directory::Line;
use rke_proto::directory::guardian::{GuardianList, usable};
use rke_proto::{RAIDA_COUNT, RaidaIndex};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::agreement::{Agreed, List, agreed, contradicted, needed};
use super::authorities::connector;
use super::fetch::{FetchError, fetch};
use super::urls::{Guardian, Guardians};
use crate::discovery::Discovery;

/// How long a guardian has for its list, including the look-ups of its RAIDAs' addresses.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long the other guardians still have once enough agree on all RAIDAs: a session may be waiting.
const GRACE: Duration = Duration::from_millis(500);

/// How long the look-up of one RAIDA's address may take.
const LOOK_UP_TIME: Duration = Duration::from_secs(5);

/// The result of asking the guardians.
pub(super) struct Said {
    pub(super) agreed: BTreeMap<RaidaIndex, Agreed>,
    /// How many gave a list.
    pub(super) answered: usize,
    /// Those that gave no list, or disagreed with most, and why, in the order of the settings.
    pub(super) faults: Vec<(String, String)>,
}

pub(super) async fn ask_all(discovery: &Discovery, guardians: &Guardians) -> Said {
    let needed = needed(guardians.count());
    let connector = connector().await.unwrap_or_else(|error| {
        tracing::error!(%error, "cannot read this machine's certificate authorities");
        None
    });
    let connector = connector.as_ref();
    let ask = |(at, guardian)| async move { (at, list_of(discovery, connector, guardian).await) };
    let mut running: FuturesUnordered<_> = guardians.iter().enumerate().map(ask).collect();
    let mut lists: Vec<Result<List, FetchError>> = vec![Err(FetchError::TimedOut); guardians.count()];
    let mut deadline = Instant::now() + PATIENCE;
    while let Ok(Some((at, list))) = timeout_at(deadline, running.next()).await {
        lists[at] = list;
        if agreed(lists.iter().flatten(), needed).len() == RAIDA_COUNT {
            deadline = deadline.min(Instant::now() + GRACE);
        }
    }
    let agreed = agreed(lists.iter().flatten(), needed);
    let fault = |(guardian, list): (&Guardian, &Result<List, FetchError>)| {
        let fault = match list {
            Ok(list) => disagreement(&contradicted(list, &agreed))?,
            Err(error) => error.to_string(),
        };
        Some((guardian.to_string(), fault))
    };
    let faults = guardians.iter().zip(&lists).filter_map(fault).collect();
    Said { answered: lists.iter().flatten().count(), agreed, faults }
}

fn disagreement(raidas: &[RaidaIndex]) -> Option<String> {
    let shown: Vec<String> = raidas.iter().map(ToString::to_string).collect();
    let noun = if raidas.len() == 1 { "RAIDA" } else { "RAIDAs" };
    (!raidas.is_empty())
        .then(|| format!("it disagrees with most guardians about {noun} {}", shown.join(", ")))
}

/// One guardian's list, with names resolved to addresses.
async fn list_of(
    discovery: &Discovery,
    connector: Option<&TlsConnector>,
    guardian: &Guardian,
) -> Result<List, FetchError> {
    let GuardianList { lines, mut warnings } =
        GuardianList::parse(&fetch(discovery, connector, guardian).await?);
    let resolved = join_all(lines.iter().map(|line| endpoints(discovery, line))).await;
    let mut all = List::new();
    for (line, endpoints) in lines.iter().zip(resolved) {
        match endpoints {
            Some(endpoints) => all.extend(endpoints),
            None => warnings.push(format!("no address is found for {}", line.host)),
        }
    }
    let list = usable(all, discovery.reach(), &mut warnings);
    for warning in warnings {
        tracing::warn!(%guardian, "a line of the guardian's list is left out: {warning}");
    }
    if list.is_empty() { Err(FetchError::NoList) } else { Ok(list) }
}

async fn endpoints(discovery: &Discovery, line: &Line) -> Option<List> {
    let found = timeout(LOOK_UP_TIME, discovery.all_addresses(&line.host, line.port)).await.ok()?.ok()?;
    Some(found.into_iter().map(|endpoint| (endpoint, line.raida)).collect())
}
