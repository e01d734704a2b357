//! `rke dev`: a whole network on this machine, in one process, made of the same parts as the real one.

mod daemons;
mod records;
mod tour;
mod words;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use rke_client::Client;
use rke_daemon::{Daemon, LocalListen, OtherEnd, OtherEndListener};
use rke_engine::Domain;
use rke_engine::settings::access::UnixSocket;
use rke_engine::settings::{Config, Example};
use rke_host::data_dir::{DataDir, Role, Sharing, claim};
use rke_host::sandbox::{Files, Reading};
use rke_proto::ContentServerId;
use rke_raida::content_server::{Application, DnsRecords, ServerConfig, ServerError};
use rke_raida::dns::DnsError;
use rke_raida::network::{LocalNetwork, LocalNetworkConfig, NetworkError};
use rke_raida::node::NodeError;

use self::daemons::{Daemons, Store};
use crate::cli::DevOptions;
use crate::launcher::{Behind, application};
use crate::log;
use crate::protection::{self, SECRETS_OF_A_SESSION};
use crate::sandbox::Sandbox;
use crate::settings::LogFormat;
use crate::signals::{Order, Orders};
use crate::terminal::{out, say};
use crate::words::in_words;

/// The domain of the local Content Server.
pub(crate) const DOMAIN: &str = "content.rke.test";
const CS_ID: &str = "RKE-TEST-SERVER";

/// The unix socket of the Content Server's application, in the folder of the network.
const API: &str = "content-server/api.sock";

const MAX_SESSIONS: usize = 16;

pub(crate) fn run(options: DevOptions) -> Result<()> {
    log::start(&options.log.log, LogFormat::Text)?;
    let behind = match (&options.exec, &options.forward) {
        (Some(command), _) => Behind::Exec(command.clone()),
        (None, Some(target)) => Behind::Forward(target.clone()),
        (None, None) => Behind::Echo,
    };
    let application = application(&behind)?;
    let others = records::read(&options.records)?;
    let (dir, temporary) = data_dir(options.data_dir.as_deref())?;
    let files = Files::new(Reading::Open).write(&dir);
    let files = temporary.iter().fold(files, |files, folder| files.remove(folder.path()));
    let mut config = Config::new(dir.join("daemon"));
    options.access.clone().settle(None, &mut config)?;
    let files = config.fixed.unix_socket.iter().fold(files, |files, socket| files.socket(&socket.path));
    // The socket of the Content Server's application is in a folder in this one, which does not exist yet.
    let files = files.socket(&dir.join("any"));
    let sandbox = Sandbox::new(options.sandbox.sandbox, files);
    let store = (options.daemons > 1).then(|| Store::start(&dir.join("store"))).transpose()?;
    let secrets = SECRETS_OF_A_SESSION * MAX_SESSIONS * usize::from(options.daemons);
    let runtime = protection::start_runtime(options.protection, secrets, Some(&sandbox))?;
    runtime.block_on(run_network(options, Place { dir, application, others, config, store }, &sandbox))
}

/// The folder of the network, and everything that was set up before the sandbox.
struct Place {
    dir: PathBuf,
    application: Application,
    others: Vec<DnsRecords>,
    config: Config,
    store: Option<Store>,
}

async fn run_network(options: DevOptions, place: Place, sandbox: &Sandbox) -> Result<()> {
    let mut orders = Orders::listen()?;
    let Place { dir, application, others, mut config, store } = place;
    let behind = match (&options.exec, &options.forward) {
        (Some(command), _) => format!("runs `{command}` for each connection"),
        (None, Some(target)) => format!("carries each connection to {target}"),
        (None, None) => "echoes what is sent to it".into(),
    };
    let network = LocalNetworkConfig {
        dir: dir.clone(),
        domain: DOMAIN.into(),
        cs_id: ContentServerId::new(CS_ID).context("the Content Server ID")?,
        first_raida_port: options.raida_port,
        dns_port: options.dns_port,
        content_server_port: options.content_server_port,
    };
    let behind_the_tunnels = application.clone();
    let allow_export = config.reloadable.allow_export.clone();
    let server = ServerConfig { allow_export, ..ServerConfig::new(application) };
    let network = LocalNetwork::start_among(network, server, &others).await.map_err(name_the_flag)?;
    config.fixed.listen = options.listen;
    config.fixed.dns_server = Some(network.dns_address());
    config.fixed.example =
        Domain::new(DOMAIN).map(|domain| Example { domain, wallet: network.wallet().into() });
    config.reloadable.max_sessions = MAX_SESSIONS;
    let api = serve_application(&network, &dir.join(API)).await?;
    let daemons = Daemons::start(config, store.as_ref(), options.daemons - 1, || sandbox.close()).await?;
    let result = if options.once {
        let second = daemons.others.first().map(client);
        tour::make(&client(&daemons.first), second.as_ref(), network.wallet()).await
    } else {
        // The network runs even if nobody reads this.
        let _ = out(&words::all(&network, &others, (&daemons, api.as_ref()), &behind, &dir));
        let stopped = async {
            while orders.next().await == Order::DropEverything {
                daemons.first.drop_everything().await;
            }
            say("Stopping.");
        };
        tokio::select! {
            () = stopped => Ok(()),
            how = behind_the_tunnels.wait_for_launcher_exit() => Err(ServerError::LauncherLost(how).into()),
        }
    };
    daemons.stop().await;
    if let Some(api) = api {
        api.stop().await;
    }
    network.stop().await;
    result
}

fn client(daemon: &Daemon) -> Client {
    let client = Client::new(daemon.address().to_string());
    match daemon.token_file() {
        Some(path) => client.with_token_file(path),
        None => client,
    }
}

/// Lets the application behind the Content Server use its keys. In a folder whose path is too long for a socket, the
/// network does without.
async fn serve_application(network: &LocalNetwork, path: &Path) -> Result<Option<OtherEnd>> {
    let Some(keys) = network.session_keys() else { return Ok(None) };
    let socket = LocalListen::Unix(UnixSocket { path: path.into(), group: None });
    let data_dir = DataDir::open(&network.server_data_dir(), Role::ContentServer, Sharing::Shared)?;
    match OtherEndListener::bind(&socket, &data_dir).await {
        Ok(listener) => Ok(Some(OtherEnd::start(listener, &keys))),
        Err(error) => {
            say(&format!(
                "The Content Server's application cannot use the keys: {}",
                in_words(&error.into())
            ));
            Ok(None)
        }
    }
}

/// The folder to work in. If it is temporary, the second value removes it at the end.
fn data_dir(chosen: Option<&Path>) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    match chosen {
        Some(dir) => {
            claim(dir, Role::LocalNetwork)?;
            Ok((std::path::absolute(dir)?, None))
        }
        None => {
            let dir = temporary_folder().context("cannot make a temporary folder")?;
            Ok((dir.path().to_path_buf(), Some(dir)))
        }
    }
}

/// A folder in the user's own folder for such things, if there is one. A daemon that systemd runs often has another `/tmp`
/// than the user, and would not find the wallet there.
fn temporary_folder() -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    let builder = builder.prefix("rke-dev-");
    let own = std::env::var_os("XDG_RUNTIME_DIR").filter(|own| Path::new(own).is_absolute());
    own.and_then(|own| builder.tempdir_in(own).ok()).map_or_else(|| builder.tempdir(), Ok)
}

/// The errors' own texts name the flags of other commands.
fn name_the_flag(error: NetworkError) -> anyhow::Error {
    match error {
        NetworkError::Node(NodeError::Bind { raida, address, source }) => {
            cannot_listen(&format!("RAIDA {raida}"), address, &source, "--raida-port")
        }
        NetworkError::Dns(DnsError::Bind { address, source }) => {
            cannot_listen("the DNS server", address, &source, "--dns-port")
        }
        NetworkError::ContentServer(ServerError::Listen { address, source }) => {
            cannot_listen("the Content Server", address, &source, "--content-server-port")
        }
        NetworkError::PortsTooHigh(_) => {
            anyhow!("{error}; choose another port with --raida-port (0 takes any free one)")
        }
        other => other.into(),
    }
}

fn cannot_listen(who: &str, address: SocketAddr, why: &io::Error, flag: &str) -> anyhow::Error {
    anyhow!("{who} cannot listen on {address}: {why}; choose another port with {flag} (0 takes any free one)")
}
