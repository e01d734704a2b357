//! A domain: what DNS says, which of its RAIDAs are there, and whether its Content Server takes calls.

use std::net::SocketAddr;
use std::time::Duration;

use rke_client::answer::Status;
use rke_client::{Client, call};
use rke_daemon::Domain;
use rke_daemon::discovery::{Discovered, Discovery, Validation, reach};
use rke_host::directory;
use rke_proto::RaidaIndex;
use rke_proto::directory::Directory;
use rke_proto::records::KeySet;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::probe::{self, Answer};
use super::report::Report;
use crate::cli::ask::DoctorOptions;

/// For all of discovery: look-ups can outlive their own deadline.
const PATIENCE: Duration = Duration::from_secs(10);

const CONNECT_PATIENCE: Duration = Duration::from_secs(3);

pub(super) async fn check(
    report: &mut Report,
    options: &DoctorOptions,
    domain: &str,
    status: Option<&Status>,
    client: &Client,
) {
    let Some(name) = Domain::new(domain) else {
        return report.fail(
            "dns",
            format!("{domain:?} is not a domain name"),
            "name a domain such as content.example.com",
        );
    };
    match discover(options, &name, status).await {
        Ok((discovery, found)) => {
            records(report, &found);
            if let Some(set) = found.sets.choose() {
                raidas(report, set, found.sets.required.into()).await;
            }
            content_server(report, &discovery, &found).await;
        }
        Err(error) => report.fail(
            "dns",
            error,
            format!("publish SRV and TXT records at _rke._udp.{name}; see docs/protocol.md"),
        ),
    }
    if status.is_some() {
        match client.ask(&call::discover(domain)).await {
            Ok(_) => report.ok("dns", "the daemon finds the domain too"),
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
) -> Result<(Discovery, Discovered), String> {
    let directory = match &options.raida_directory {
        Some(path) => directory::load(path).await.map_err(|error| error.to_string())?,
        None => Directory::default(),
    };
    let of_daemon = || status?.config.dns_server.as_ref()?.parse().ok();
    let dns_server = options.dns_server.or_else(of_daemon);
    let reach = reach(dns_server, options.allow_private_raidas);
    let discovery = Discovery::new(dns_server, Validation::off(), directory, reach);
    let discovery = discovery.map_err(|error| error.to_string())?;
    let found = timeout(PATIENCE, discovery.discover(domain)).await;
    let found =
        found.map_err(|_| "no response from DNS in time".to_owned())?.map_err(|error| error.to_string())?;
    Ok((discovery, found))
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
            format!("no key set has {required} RAIDA servers with a known index"),
            "publish more servers, or their indexes (raida=…), or give --raida-directory",
        ),
    }
    for warning in &found.sets.warnings {
        report.warn("dns", format!("left out: {warning}"), "correct the TXT record");
    }
}

async fn raidas(report: &mut Report, set: &KeySet, required: usize) {
    let mut asked = JoinSet::new();
    for (raida, endpoint) in set.servers.iter().copied() {
        asked.spawn(async move { (raida, endpoint, probe::ask(raida, endpoint).await) });
    }
    let mut answers = asked.join_all().await;
    answers.sort_by_key(|(raida, ..)| *raida);
    let mut times: Vec<Duration> = Vec::new();
    for (raida, endpoint, answer) in answers {
        match answer {
            Answer::After(time) => times.push(time),
            Answer::AnotherRaida => another(report, raida, endpoint),
            Answer::Silence => report.warn(
                "raidas",
                format!("RAIDA {raida} at {endpoint} does not answer"),
                "see whether a firewall drops UDP; else tell whoever runs it",
            ),
        }
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

fn another(report: &mut Report, raida: RaidaIndex, endpoint: SocketAddr) {
    let message = format!("what answers at {endpoint} is not RAIDA {raida}");
    report.warn("raidas", message, "correct the index (raida=…) in the TXT record or the RAIDA directory");
}

async fn content_server(report: &mut Report, discovery: &Discovery, found: &Discovered) {
    let (host, port) = (&found.target_host, found.target_port);
    let connect = async {
        let addresses = discovery.addresses(host, port).await.map_err(|error| error.to_string())?;
        TcpStream::connect(addresses.as_slice()).await.map(drop).map_err(|error| error.to_string())
    };
    match timeout(CONNECT_PATIENCE, connect).await.unwrap_or_else(|_| Err("no answer in time".into())) {
        Ok(()) => report.ok("server", format!("the Content Server at {host}:{port} takes connections")),
        Err(error) => report.warn(
            "server",
            format!("the Content Server at {host}:{port}: {error}"),
            "keys stay unconfirmed and `rke connect` does not work until it runs (`rke content-server serve`)",
        ),
    }
}
