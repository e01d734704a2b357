//! A domain: its DNS records, which of its RAIDAs respond, and whether its Content Server accepts connections.

use std::net::SocketAddr;
use std::time::Duration;

use rke_client::response::{Found, Raidas, Status};
use rke_client::{Client, call};
use rke_engine::Domain;
use rke_engine::discovery::{Discovered, Discovery, DiscoveryError};
use rke_engine::model::server_name::ServerName;
use rke_host::echo::EchoOutcome;
use rke_proto::RaidaIndex;
use rke_proto::records::{KeySet, KeySets};

use super::report::Report;
use crate::cli::ask::DoctorOptions;
use crate::look_up::discover;
use crate::reach;

pub(super) async fn check(
    report: &mut Report,
    options: &DoctorOptions,
    domain: &str,
    (status, known): (Option<&Status>, Option<&Raidas>),
    client: &Client,
) {
    let Some(name) = Domain::new(domain) else {
        return report.fail(
            "dns",
            format!("{domain:?} is not a domain name"),
            "name a domain such as content.example.com",
        );
    };
    let own = discover(&options.look_up, &name, status, known).await;
    match &own {
        Ok((discovery, found)) => {
            records(report, found);
            if let Some(set) = found.sets.choose() {
                raidas(report, set, found.sets.required.into()).await;
            }
            for target in &found.targets {
                content_server(report, discovery, &target.server).await;
            }
        }
        Err(error) => report.fail(
            "dns",
            error,
            format!("publish SRV and TXT records at _rke._udp.{name}; see docs/protocol.md"),
        ),
    }
    if status.is_some() {
        match client.ask(&call::discover(domain)).await {
            Ok(theirs) => compare(report, own.as_ref().ok().map(|(_, found)| found), &theirs),
            Err(error) => report.fail(
                "dns",
                format!("the daemon: {error}"),
                "see its --dns-server and --raida-directory",
            ),
        }
    }
}

fn records(report: &mut Report, found: &Discovered) {
    let required = found.sets.required;
    match found.sets.choose() {
        Some(set) => {
            let servers = set.servers.len();
            report.ok(
                "dns",
                format!(
                    "{} of {} has {servers} RAIDA servers, {required} are required",
                    set.key_set, set.cs_id
                ),
            );
        }
        None => report.fail(
            "dns",
            DiscoveryError::no_key_set(&found.sets).to_string(),
            "publish more servers, or their indexes (raida=…), or start the daemon with --guardian or --raida-directory",
        ),
    }
    tell_warnings(report, &found.sets);
}

/// What was not read of the TXT records, and what was read in spite of a mistake.
pub(super) fn tell_warnings(report: &mut Report, sets: &KeySets) {
    let (left_out, mended) = sets.warnings.split_at(sets.left_out);
    for warning in left_out {
        report.warn("dns", format!("left out: {warning}"), "correct the TXT record");
    }
    for warning in mended {
        report.warn("dns", format!("read all the same: {warning}"), "correct the TXT record");
    }
}

/// Whether the daemon finds the same as this program. Another DNS server, a cache on the way to it or another RAIDA
/// directory can make a difference.
fn compare(report: &mut Report, own: Option<&Discovered>, theirs: &Found) {
    let own = own.map(described);
    let theirs = {
        let sets =
            theirs.key_sets.iter().map(|set| (set.key_id.clone(), set.cs_id.clone(), set.server_count));
        described_as((&theirs.target_host, theirs.target_port), theirs.min_raidas_required, sets)
    };
    match own {
        Some(own) if own == theirs => report.ok("dns", "the daemon finds the same"),
        Some(own) => report.fail(
            "dns",
            format!("the daemon finds something else: {theirs}; here it is {own}"),
            "see its --dns-server and --raida-directory; a cache of its DNS server may have old records until they expire",
        ),
        None => report.fail(
            "dns",
            format!("the daemon finds what is not found here: {theirs}"),
            "see its --dns-server, and name the same one here",
        ),
    }
}

fn described(found: &Discovered) -> String {
    let sets = found.sets.all.iter();
    let sets = sets.map(|set| (set.key_set.to_string(), set.cs_id.to_string(), set.servers.len()));
    let first = found.first();
    described_as((&first.host, first.port), found.sets.required, sets)
}

fn described_as(
    (host, port): (&str, u16),
    required: u8,
    sets: impl Iterator<Item = (String, String, usize)>,
) -> String {
    let sets: Vec<String> = sets
        .map(|(key_set, cs_id, servers)| format!("{key_set} of {cs_id} with {servers} RAIDA servers"))
        .collect();
    let sets = if sets.is_empty() { "no key set".into() } else { sets.join(", ") };
    format!("{sets} ({required} required) at {host}:{port}")
}

async fn raidas(report: &mut Report, set: &KeySet, required: usize) {
    let (mut times, mut closed, mut silent): (Vec<Duration>, _, _) = (Vec::new(), Vec::new(), Vec::new());
    for (raida, endpoint, outcome) in reach::raidas(set).await {
        match outcome {
            EchoOutcome::After(time) => times.push(time),
            EchoOutcome::AnotherRaida => another(report, raida, endpoint),
            EchoOutcome::Closed => closed.push((raida, endpoint)),
            EchoOutcome::Silence => silent.push((raida, endpoint)),
        }
    }
    if !closed.is_empty() {
        report.warn(
            "raidas",
            format!("nothing listens at the port of {}", listed(&closed)),
            "see whether a firewall rejects UDP, and whether the record has the right port; else tell its operator",
        );
    }
    if !silent.is_empty() {
        report.warn(
            "raidas",
            format!("no response from {}", listed(&silent)),
            "see whether a firewall drops UDP; else tell its operator",
        );
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3);
    let message = format!("{} of {} answer, in {median:.0} ms", times.len(), set.servers.len());
    match times.len() {
        count if count < required => {
            report.fail("raidas", format!("{message}: {required} are required"), "see the RAIDAs above")
        }
        _ => report.ok("raidas", message),
    }
}

/// RAIDAs with the same trouble, with the addresses that were tried.
fn listed(raidas: &[(RaidaIndex, SocketAddr)]) -> String {
    let each: Vec<String> =
        raidas.iter().map(|(raida, endpoint)| format!("RAIDA {raida} at {endpoint}")).collect();
    match raidas.len() {
        1 => each.concat(),
        count => format!("{count} RAIDAs: {}", each.join(", ")),
    }
}

fn another(report: &mut Report, raida: RaidaIndex, endpoint: SocketAddr) {
    let message = format!("what answers at {endpoint} is not RAIDA {raida}");
    report.warn("raidas", message, "correct the index (raida=…) in the TXT record or the RAIDA directory");
}

async fn content_server(report: &mut Report, discovery: &Discovery, server: &ServerName) {
    let connected = reach::content_server(discovery, server).await;
    match connected.unwrap_or_else(|_| Err("no response in time".into())) {
        Ok(_) => report.ok("server", format!("the Content Server at {server} takes connections")),
        Err(error) => report.fail(
            "server",
            format!("the Content Server at {server}: {error}"),
            "no session opens until it runs (`rke content-server serve`); only a live one does, unconfirmed and without a tunnel",
        ),
    }
}

#[cfg(test)]
mod tests;
