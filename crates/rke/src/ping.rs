//! `rke ping`: reaches everything that a session with a domain needs, and prints how long each took. It uses no
//! coin and no key. Its exit codes are those of ping: 1 if too little responds, 2 if there is nobody to ask.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use rke_client::Error;
use rke_client::response::{Raidas, Status};
use rke_engine::Domain;
use rke_engine::discovery::{Discovered, Discovery, DiscoveryError};
use rke_host::echo::EchoOutcome;
use rke_proto::RaidaIndex;
use rke_proto::records::KeySet;
use serde::Serialize;

use crate::cli::ask::{Output, PingOptions};
use crate::failure::Exit;
use crate::look_up::discover;
use crate::reach;
use crate::settings::WrongSettings;
use crate::terminal::{BAD, Cell, clean, out, out_text, styled, table};

/// How long the daemon may take to name its RAIDAs where the DNS server is known. After that, ping continues without the daemon.
const DAEMON_PATIENCE: Duration = Duration::from_secs(1);

/// The result of reaching something.
#[derive(Serialize)]
struct Reached {
    /// Only for a RAIDA.
    #[serde(skip_serializing_if = "Option::is_none")]
    raida: Option<u8>,
    address: String,
    ms: Option<f64>,
    fault: Option<String>,
}

/// The result of the whole command.
#[derive(Serialize)]
struct Pinged {
    command: &'static str,
    success: bool,
    domain: String,
    key_set: String,
    cs_id: String,
    required: u8,
    dns_ms: f64,
    raidas: Vec<Reached>,
    content_servers: Vec<Reached>,
}

pub(crate) async fn run(options: &PingOptions) -> Result<()> {
    let domain = Domain::new(&options.domain)
        .ok_or_else(|| WrongSettings(anyhow!("{:?} is not a domain name", options.domain)))?;
    let (status, raidas) = match options.look_up.dns_server {
        Some(_) => daemon(&options.output, DAEMON_PATIENCE).await.unwrap_or_default(),
        None => daemon(&options.output, options.output.daemon.timeout()).await?,
    };
    let began = Instant::now();
    let found = discover(&options.look_up, &domain, status.as_ref(), raidas.as_ref()).await;
    let took = began.elapsed();
    let (discovery, found) = found.map_err(|error| WrongSettings(anyhow!(error)))?;
    let set = found.sets.choose();
    let set = set.ok_or_else(|| WrongSettings(DiscoveryError::no_key_set(&found.sets).into()))?;
    let (raidas, content_servers) = tokio::join!(echoes(set), connections(&discovery, &found));
    let has_responded = |reached: &&Reached| reached.fault.is_none();
    let enough = raidas.iter().filter(has_responded).count() >= usize::from(found.sets.required);
    let pinged = Pinged {
        command: "rke_ping",
        success: enough && content_servers.iter().any(|reached| has_responded(&reached)),
        domain: domain.to_string(),
        key_set: set.key_set.to_string(),
        cs_id: set.cs_id.to_string(),
        required: found.sets.required,
        dns_ms: millis(took),
        raidas,
        content_servers,
    };
    match options.output.json {
        true => out(&serde_json::to_string(&pinged)?)?,
        false => out_text(&pinged.text())?,
    }
    if pinged.success { Ok(()) } else { Err(Exit(1).into()) }
}

/// The daemon's status and RAIDAs, which help to find a domain. Where there is no daemon, ping does without.
///
/// # Errors
/// A daemon is there, and refuses or stays silent: its DNS server stays unknown, and the system's may find something else.
async fn daemon(output: &Output, patience: Duration) -> Result<(Option<Status>, Option<Raidas>), Error> {
    let client = output.daemon.client().with_timeout(patience.min(output.daemon.timeout()));
    match client.status().await {
        Ok(status) => Ok((Some(status), client.raidas().await.ok())),
        Err(Error::NoDaemon { .. }) => Ok((None, None)),
        Err(error) => Err(error),
    }
}

async fn echoes(set: &KeySet) -> Vec<Reached> {
    let reached = |(raida, endpoint, outcome): (RaidaIndex, SocketAddr, _)| {
        let (ms, fault) = match outcome {
            EchoOutcome::After(time) => (Some(millis(time)), None),
            EchoOutcome::AnotherRaida => (None, Some("another RAIDA responded")),
            EchoOutcome::Closed => (None, Some("nothing listens there")),
            EchoOutcome::Silence => (None, Some("no response")),
        };
        let address = endpoint.to_string();
        Reached { raida: Some(raida.get()), address, ms, fault: fault.map(Into::into) }
    };
    reach::raidas(set).await.into_iter().map(reached).collect()
}

/// Connects to each host that the records name.
async fn connections(discovery: &Discovery, found: &Discovered) -> Vec<Reached> {
    let mut all = Vec::new();
    for target in &found.targets {
        let outcome = reach::content_server(discovery, &target.server).await;
        let outcome = outcome.unwrap_or_else(|_| Err("no response".into()));
        let (ms, fault) = outcome.map_or_else(|fault| (None, Some(fault)), |time| (Some(millis(time)), None));
        all.push(Reached { raida: None, address: target.server.to_string(), ms, fault });
    }
    all
}

impl Pinged {
    fn text(&self) -> String {
        let dns = vec![
            Cell::new("DNS"),
            Cell::new(shown(self.dns_ms)),
            Cell::new(format!("{} of {}", self.key_set, clean(&self.cs_id))),
        ];
        let raidas = self
            .raidas
            .iter()
            .map(|reached| row(format!("RAIDA {}", reached.raida.unwrap_or_default()), reached));
        let servers = self.content_servers.iter().map(|reached| row("Content Server".into(), reached));
        let rows = std::iter::once(dns).chain(raidas).chain(servers);
        format!("{}\n{}", table(&["", "TIME", ""], rows), self.summary())
    }

    fn summary(&self) -> String {
        let mut times: Vec<f64> = self.raidas.iter().filter_map(|reached| reached.ms).collect();
        times.sort_unstable_by(f64::total_cmp);
        let (responded, all) = (times.len(), self.raidas.len());
        let median = times.get(responded / 2).map_or(String::new(), |ms| format!(", median {}", shown(*ms)));
        format!("{responded} of {all} RAIDAs responded ({} must){median}.", self.required)
    }
}

fn row(name: String, reached: &Reached) -> Vec<Cell> {
    let how = match (&reached.fault, reached.ms) {
        (Some(fault), _) => styled(BAD, clean(fault)),
        (None, ms) => Cell::new(shown(ms.unwrap_or_default())),
    };
    vec![Cell::new(name), how, Cell::new(clean(&reached.address))]
}

fn shown(ms: f64) -> String {
    format!("{ms:.1} ms")
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e4).round() / 10.0
}
