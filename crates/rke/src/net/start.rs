//! Starts the parts of a network, preloads its nodes if that has not been done, and waits until a session can be opened.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rke_client::call::delete;
use rke_client::{CachedKey, Client, KeyChoice, OtherEnd, Receipt};
use rke_host::durable::write_atomically;
use tokio::time::{Instant, sleep};

use super::layout::Network;
use super::make::CS_ID;
use super::part::own;

/// How long a network may take.
const TIMEOUT: Duration = Duration::from_secs(30);

const BETWEEN_TRIES: Duration = Duration::from_millis(100);

/// How long one try may take.
const TRY_TIMEOUT: Duration = Duration::from_secs(5);

/// The Content Server's host in the records, below its domain.
const HOST: &str = "cs";

pub(super) async fn start(network: &Network) -> Result<()> {
    let deadline = Instant::now() + TIMEOUT;
    for node in network.nodes() {
        node.start()?;
    }
    if !network.records().exists() {
        preload(network, deadline).await?;
    }
    for part in network.others() {
        part.start()?;
    }
    let client = Client::new(network.about.daemon().to_string()).with_timeout(TRY_TIMEOUT);
    until(deadline, network, async || open_and_erase(&client, network).await).await
}

/// Has the nodes hold master secrets, and keeps the records.
async fn preload(network: &Network, deadline: Instant) -> Result<()> {
    let records = until(deadline, network, async || run_preload(network)).await?;
    let folder = network.dir.join("dns");
    let written =
        write_atomically(&folder, &network.records(), |file| std::io::Write::write_all(file, &records));
    written.with_context(|| format!("cannot write {}", network.records().display()))
}

/// Preloads as an operator does, and returns the records.
fn run_preload(network: &Network) -> Result<Vec<u8>> {
    let data = network.dir.join("content-server/data");
    let (domain, port) = (&network.about.domain, network.about.content_server().port().to_string());
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
        ("--data-dir", &data),
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

/// Tries until it succeeds. Fails as soon as a part has ended, or at the deadline with the last failure.
async fn until<T>(
    deadline: Instant,
    network: &Network,
    mut work: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    loop {
        let error = match work().await {
            Ok(done) => return Ok(done),
            Err(error) => error,
        };
        for part in network.nodes().chain(network.others()).filter(|part| part.log().exists()) {
            part.expect_running()?;
        }
        if Instant::now() > deadline {
            return Err(error).context("the network did not begin to work");
        }
        sleep(BETWEEN_TRIES).await;
    }
}
