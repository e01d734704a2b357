//! A domain: what DNS says, which of its RAIDAs are there, and whether its Content Server takes calls.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use rke_client::answer::{Found, Raidas, Status};
use rke_client::{Client, call};
use rke_engine::Domain;
use rke_engine::contact::server::ContactError;
use rke_engine::discovery::{Discovered, Discovery, DiscoveryError, Validation, reach};
use rke_engine::model::server_name::ServerName;
use rke_host::directory;
use rke_host::echo::{self, Answer};
use rke_proto::RaidaIndex;
use rke_proto::directory::Directory;
use rke_proto::records::KeySet;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::report::Report;
use crate::cli::ask::DoctorOptions;

/// For all of discovery: look-ups can outlive their own deadline.
const PATIENCE: Duration = Duration::from_secs(10);

const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

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
    let own = discover(options, &name, status, known).await;
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

async fn discover(
    options: &DoctorOptions,
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
    let found = found.unwrap_or(Err(DiscoveryError::TimedOut)).map_err(|error| error.to_string())?;
    Ok((discovery, found))
}

/// What the daemon's guardians agree on.
fn agreed(raidas: &Raidas) -> Vec<(SocketAddr, RaidaIndex)> {
    let entries = raidas.directory.iter().flat_map(|directory| &directory.raidas);
    let endpoints = entries.flat_map(|entry| {
        let endpoint = |text: &String| Some((text.parse().ok()?, RaidaIndex::new(entry.raida)?));
        entry.endpoints.iter().filter_map(endpoint)
    });
    endpoints.collect()
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
            "publish more servers, or their indexes (raida=…), or give --guardian or --raida-directory",
        ),
    }
    let (left_out, mended) = found.sets.warnings.split_at(found.sets.left_out);
    for warning in left_out {
        report.warn("dns", format!("left out: {warning}"), "correct the TXT record");
    }
    for warning in mended {
        report.warn("dns", format!("read all the same: {warning}"), "correct the TXT record");
    }
}

/// Whether the daemon finds what this program finds: another DNS server, a cache on the way to it or another RAIDA directory
/// can make a difference.
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
    let mut asked = JoinSet::new();
    for (raida, endpoint) in set.servers.iter().copied() {
        asked.spawn(async move { (raida, endpoint, echo::ask(raida, endpoint).await) });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(raida, ..)| *raida);
    let (mut times, mut closed, mut silent): (Vec<Duration>, _, _) = (Vec::new(), Vec::new(), Vec::new());
    for (raida, endpoint, answer) in answers {
        match answer {
            Answer::After(time) => times.push(time),
            Answer::AnotherRaida => another(report, raida, endpoint),
            Answer::Closed => closed.push((raida, endpoint)),
            Answer::Silence => silent.push((raida, endpoint)),
        }
    }
    if !closed.is_empty() {
        report.warn(
            "raidas",
            format!("nothing listens at the port of {}", listed(&closed)),
            "see whether a firewall rejects UDP, and whether the record has the right port; else tell whoever runs it",
        );
    }
    if !silent.is_empty() {
        report.warn(
            "raidas",
            format!("no response from {}", listed(&silent)),
            "see whether a firewall drops UDP; else tell whoever runs it",
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

/// RAIDAs with the same trouble, and where they were asked.
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
    let connect = async {
        let addresses =
            discovery.addresses(&server.host, server.port).await.map_err(|error| error.to_string())?;
        let refused = |error: io::Error| ContactError::from(error).to_string();
        TcpStream::connect(addresses.as_slice()).await.map(drop).map_err(refused)
    };
    match timeout(CONNECT_PATIENCE, connect).await.unwrap_or_else(|_| Err("no response in time".into())) {
        Ok(()) => report.ok("server", format!("the Content Server at {server} takes connections")),
        Err(error) => report.warn(
            "server",
            format!("the Content Server at {server}: {error}"),
            "keys stay unconfirmed and `rke connect` does not work until it runs (`rke content-server serve`)",
        ),
    }
}

#[cfg(test)]
mod tests {
    use rke_engine::discovery::Target;
    use rke_proto::reach::Reach;
    use rke_proto::records::Records;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_daemon_that_finds_another_set_fails() {
        let found = |key_id: &str| {
            let set = json!({"key_id": key_id, "cs_id": "CS", "server_count": 25});
            let found = json!({"domain": "a.test", "target_host": "cs.a.test", "target_port": 443,
                "min_raidas_required": 13, "key_sets": [set]});
            serde_json::from_value::<Found>(found).expect("an answer")
        };
        let texts = (0..25).map(|at| format!("192.0.2.{at}:1 k1 raida={at}")).chain(["k1 = CS".into()]);
        let texts: Vec<String> = texts.collect();
        let records = Records::parse(texts.iter().map(String::as_str));
        let server = ServerName { host: "cs.a.test".into(), port: 443 };
        let own = Discovered {
            targets: vec![Target { priority: 0, weight: 0, server }],
            sets: records.key_sets(&Directory::default(), Reach::Public),
        };
        for (own, theirs, failures, text) in [
            (Some(&own), "k1", 0, "the daemon finds the same"),
            (Some(&own), "k2", 1, "something else: k2 of CS with 25"),
            (None, "k1", 1, "not found here"),
        ] {
            let mut report = Report::default();
            compare(&mut report, own, &found(theirs));
            assert!(report.failures() == failures && report.text().contains(text), "{}", report.text());
        }
    }
}
