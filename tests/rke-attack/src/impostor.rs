//! An impostor that DNS names: it has preloaded a Content Server ID of its own at the same RAIDAs, runs a Content Server
//! for it, and DNS says that the domain is its.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rke_client::{Client, KeyChoice, call};
use rke_daemon::Daemon;
use rke_proto::{ContentServerId, Form, KeySetId};
use rke_raida::content_server::{Application, ContentServer, KeyRing, ServerConfig};

use crate::Outcome;
use crate::scene::{DOMAIN, any_port, config, dns, network, send_secret};

/// Lets the daemon know the real Content Server first, then changes what DNS says.
pub(crate) async fn attack(folder: &Path) -> Result<Outcome> {
    let network = network(folder).await?;
    let honest = dns(network.records(), any_port()).await?;
    let address = honest.address();
    let data_dir = folder.join("daemon");
    let daemon = Daemon::start(config(&data_dir, address)).await?;
    open_session(&daemon, network.wallet()).await.context("the real Content Server does not do")?;
    daemon.stop().await;
    honest.stop().await;

    let cs_id = ContentServerId::new("THE-IMPOSTOR").context("not a Content Server ID")?;
    let mut keys = KeyRing::open(cs_id, &folder.join("impostor"))?;
    let secrets = keys.open_or_make(KeySetId::new(1).context("not a key set")?, Form::Wide)?;
    let report =
        keys.preload(&secrets, network.directory(), &network.other_wallet(), Duration::from_secs(10)).await?;
    ensure!(report.done.count() == 25, "the impostor could not preload: {:?}", report.faults);
    let server = ContentServer::start(ServerConfig::new(Application::Echo), keys).await?;
    let records = secrets.records(
        Form::Wide,
        DOMAIN,
        (&format!("cs.{DOMAIN}"), server.address().port()),
        network.directory(),
    );
    let _dns = dns(&records, SocketAddr::new(address.ip(), address.port())).await?;

    let daemon = Daemon::start(config(&data_dir, address)).await?;
    // Whatever is sent, its own server reads.
    let outcome = Outcome::of(open_session(&daemon, network.wallet()).await.is_ok());
    daemon.stop().await;
    server.stop().await;
    Ok(outcome)
}

async fn open_session(daemon: &Daemon, wallet: &Path) -> Result<()> {
    let client = Client::new(daemon.address().to_string());
    let created = client.ask(&call::create(DOMAIN, wallet, KeyChoice::Fresh)).await?;
    send_secret(&client, created.session_id.as_str()).await
}
