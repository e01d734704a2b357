//! Starts the parts of a network, preloads its nodes if that has not been done, and waits until a session can be opened.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rke_client::call::delete;
use rke_client::{CachedKey, Client, KeyChoice, OtherEnd, Receipt};
use rke_host::durable::write_atomically;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use super::layout::Network;
use super::make::CS_ID;
use super::part::{Part, own};
use super::shared::{hand_on_secrets, token_file};

/// How long a network may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// How much longer one with a store may take.
const SETTLING: Duration = Duration::from_secs(30);

const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);

/// The Content Server's host in the records, below its domain.
const HOST: &str = "cs";

pub(super) async fn start(network: &Network) -> Result<()> {
    let settling = network.store().map_or(Duration::ZERO, |_| SETTLING);
    let deadline = Instant::now() + TIMEOUT + settling;
    // The store too: Content Servers accept nobody for 15 seconds after it has started.
    let base: Vec<Part> = network.nodes().chain(network.store()).collect();
    start_all(&base)?;
    if !network.records().exists() {
        preload(network, &base, deadline).await?;
    }
    // Nobody starts without the store.
    if let Some(store) = network.store() {
        until(deadline, &base, async || reach(&store).await).await?;
    }
    let all = network.parts();
    start_all(&all)?;
    for server in network.content_servers() {
        until(deadline, &all, async || reach(&server).await).await?;
    }
    for daemon in network.daemons().iter().filter(|daemon| daemon.is_here()) {
        let client = client(network, daemon);
        until(deadline, &all, async || open_and_erase(&client, network).await).await?;
    }
    // Sessions open without some of the nodes too.
    all.iter().try_for_each(Part::expect_running)
}

fn start_all(parts: &[Part]) -> Result<()> {
    parts.iter().try_for_each(Part::start)
}

/// Connects to a part: opening a session shows only that one instance of the Content Server runs.
async fn reach(part: &Part) -> Result<()> {
    if part.is_here() {
        let connected = TcpStream::connect(part.address).await;
        connected
            .with_context(|| format!("nothing listens at {}, the address of {}", part.address, part.name))?;
    }
    Ok(())
}

fn client(network: &Network, daemon: &Part) -> Client {
    let client = Client::new(daemon.address.to_string()).with_timeout(TRY_TIMEOUT);
    match token_file(network, daemon) {
        Some(file) => client.with_token_file(file),
        None => client,
    }
}

/// Has the nodes hold master secrets, and keeps the records.
async fn preload(network: &Network, nodes: &[Part], deadline: Instant) -> Result<()> {
    let records = until(deadline, nodes, async || run_preload(network)).await?;
    hand_on_secrets(network)?;
    let folder = network.dir.join("dns");
    let written =
        write_atomically(&folder, &network.records(), |file| std::io::Write::write_all(file, &records));
    written.with_context(|| format!("cannot write {}", network.records().display()))
}

/// Preloads as an operator does, and returns the records.
fn run_preload(network: &Network) -> Result<Vec<u8>> {
    let domain = &network.about.domain;
    let port = network.about.content_server_port().to_string();
    let host = format!("{HOST}.{domain}");
    let program = std::env::current_exe().context("where this program is, is unknown")?;
    let mut command = own(Command::new(program));
    command.args([
        "content-server",
        "preload",
        "--cs-id",
        CS_ID,
        "--domain",
        domain,
        "--host",
        &host,
        "--port",
        &port,
    ]);
    let paths: [(&str, &Path); 3] = [
        ("--data-dir", &network.preloaded()),
        ("--raida-directory", &network.raida_directory()),
        ("--wallet", &network.server_wallet()),
    ];
    for (flag, path) in paths {
        command.arg(flag).arg(path);
    }
    let run = command.output().context("cannot run the preloading")?;
    if !run.status.success() {
        bail!("the nodes are not preloaded: {}", String::from_utf8_lossy(&run.stderr).trim());
    }
    Ok(run.stdout)
}

/// Opens a session as a user does, and leaves nothing of it at either end.
async fn open_and_erase(client: &Client, network: &Network) -> Result<()> {
    let session = client.open_session(&network.about.domain, &network.wallet(), KeyChoice::Cached).await?;
    client.ask(&delete(session.id(), CachedKey::Forget, Receipt::None, OtherEnd::Wait)).await?;
    Ok(())
}

/// Tries until it succeeds. Fails as soon as one of these parts has ended, or at the deadline with the last failure.
async fn until<T>(deadline: Instant, parts: &[Part], mut work: impl AsyncFnMut() -> Result<T>) -> Result<T> {
    loop {
        let error = match work().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        parts.iter().try_for_each(Part::expect_running)?;
        if Instant::now() > deadline {
            return Err(error).context("the network did not begin to work");
        }
        sleep(BETWEEN_TRIES).await;
    }
}
