//! `rke dev`: everything on this machine, in one process, from the same parts as the real thing.

mod tour;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rke_client::Client;
use rke_client::call::target;
use rke_daemon::{Daemon, Inherited};
use rke_engine::Domain;
use rke_engine::settings::{Config, Example};
use rke_host::data_dir::{Role, claim};
use rke_host::sandbox::{Files, Reading};
use rke_proto::ContentServerId;
use rke_raida::content_server::{Application, ServerConfig, ServerError};
use rke_raida::dns::DnsError;
use rke_raida::network::{LocalNetwork, LocalNetworkConfig, NetworkError};
use rke_raida::node::NodeError;

use crate::cli::DevOptions;
use crate::launcher::application;
use crate::log;
use crate::protection::{self, SECRETS_OF_A_SESSION};
use crate::sandbox::Sandbox;
use crate::settings::LogFormat;
use crate::signals::{Order, Orders};
use crate::terminal::out;
use crate::words::in_words;

/// The domain of the local Content Server.
pub(crate) const DOMAIN: &str = "content.rke.test";
const CS_ID: &str = "RKE-TEST-SERVER";

const MAX_SESSIONS: usize = 16;

pub(crate) fn run(options: DevOptions) -> Result<()> {
    log::start(&options.log.log, LogFormat::Text)?;
    let application = application(options.exec.as_deref())?;
    let (dir, temporary) = data_dir(options.data_dir.as_deref())?;
    let files = Files::new(Reading::Open).write(&dir);
    let files = temporary.iter().fold(files, |files, folder| files.remove(folder.path()));
    let mut config = Config::new(dir.join("daemon"));
    options.access.clone().settle(None, &mut config)?;
    let files = config.fixed.unix_socket.iter().fold(files, |files, socket| files.socket(&socket.path));
    let sandbox = Sandbox::new(options.sandbox.sandbox, files);
    let secrets = SECRETS_OF_A_SESSION * MAX_SESSIONS;
    let runtime = protection::start_runtime(options.protection, secrets, Some(&sandbox))?;
    runtime.block_on(run_network(options, Place { dir, application, config }, &sandbox))
}

/// Where everything lies, and what was made before the sandbox.
struct Place {
    dir: PathBuf,
    application: Application,
    config: Config,
}

async fn run_network(options: DevOptions, place: Place, sandbox: &Sandbox) -> Result<()> {
    let mut orders = Orders::listen()?;
    let Place { dir, application, mut config } = place;
    let behind = match &options.exec {
        Some(command) => format!("runs `{command}` for each connection"),
        None => "echoes what is sent to it".into(),
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
    let server = ServerConfig::new(application);
    let network = LocalNetwork::start_with(network, server).await.map_err(name_the_flag)?;
    config.fixed.listen = options.listen;
    config.fixed.dns_server = Some(network.dns_address());
    config.fixed.example =
        Domain::new(DOMAIN).map(|domain| Example { domain, wallet: network.wallet().into() });
    config.reloadable.max_sessions = MAX_SESSIONS;
    let daemon = Daemon::start_on(config, Inherited::default(), || sandbox.close()).await?;
    let result = if options.once {
        let client = Client::new(daemon.address().to_string());
        let client = match daemon.token_file() {
            Some(path) => client.with_token_file(path),
            None => client,
        };
        tour::make(&client, network.wallet()).await
    } else {
        // The network runs whether or not somebody reads this.
        let _ = out(&describe(&network, &daemon, &dir, &behind));
        let stopped = async {
            while orders.next().await == Order::DropEverything {
                daemon.drop_everything().await;
            }
            eprintln!("Stopping.");
        };
        tokio::select! {
            () = stopped => Ok(()),
            how = behind_the_tunnels.lost() => Err(ServerError::LauncherLost(how).into()),
        }
    };
    daemon.stop().await;
    network.stop().await;
    result
}

/// The folder to work in, and what removes it at the end where it is a temporary one.
fn data_dir(chosen: Option<&Path>) -> Result<(PathBuf, Option<tempfile::TempDir>)> {
    match chosen {
        Some(dir) => {
            claim(dir, Role::LocalNetwork)?;
            Ok((std::path::absolute(dir)?, None))
        }
        None => {
            let dir = tempfile::Builder::new().prefix("rke-dev-").tempdir();
            let dir = dir.context("cannot make a temporary folder")?;
            Ok((dir.path().to_path_buf(), Some(dir)))
        }
    }
}

fn name_the_flag(error: NetworkError) -> anyhow::Error {
    let flag = match &error {
        NetworkError::Node(NodeError::Bind { .. }) | NetworkError::PortsTooHigh(_) => Some("--raida-port"),
        NetworkError::Dns(DnsError::Bind { .. }) => Some("--dns-port"),
        _ => None,
    };
    // This error names the flag of another command.
    if let NetworkError::ContentServer(ServerError::Listen { address, source }) = &error {
        return anyhow::anyhow!(
            "the Content Server cannot listen on {address}: {source}; choose another port with \
             --content-server-port (0 takes any free one)"
        );
    }
    let error = anyhow::Error::new(error);
    match flag {
        Some(flag) => {
            anyhow::anyhow!("{}; choose another port with {flag} (0 takes any free one)", in_words(&error))
        }
        None => error,
    }
}

fn describe(network: &LocalNetwork, daemon: &Daemon, dir: &Path, behind: &str) -> String {
    let [first, .., last] = network.node_addresses() else { return String::new() };
    let mut lines = Vec::new();
    lines.push("A complete key exchange network runs on this machine:".into());
    lines.push(format!("  25 RAIDA nodes     {first} to {last} (UDP)"));
    lines.push(format!("  DNS                {} (UDP and TCP), for {DOMAIN}", network.dns_address()));
    lines.push(format!("  Content Server     {} (TCP), {behind}", network.content_server_address()));
    lines.push(format!("  wallet             {}", network.wallet().display()));
    lines.push(format!("  daemon             http://{}", daemon.address()));
    lines.push(format!("  console            http://{}/ in a browser", daemon.address()));
    lines.push(format!("  reference          http://{}/docs in a browser", daemon.address()));
    lines.push(format!("  files              {}", dir.display()));
    if let Some(file) = daemon.token_file() {
        lines.push(format!("  token              {}", file.display()));
    }
    lines.push(String::new());
    lines.extend(requests(network, daemon));
    lines.push(String::new());
    lines.push("Ctrl-C stops all of it.".into());
    lines.join("\n")
}

/// A line to copy for each endpoint.
fn requests(network: &LocalNetwork, daemon: &Daemon) -> Vec<String> {
    let try_each =
        "Try each endpoint (later lines use SESSION_ID and ENCRYPTED, which those before them set):";
    let mut lines = vec![try_each.to_owned()];
    let api = format!("http://{}", daemon.address());
    let wallet = network.wallet().to_string_lossy();
    let curl = match daemon.token_file() {
        Some(file) => format!("curl -H \"Authorization: Bearer $(cat '{}')\"", file.display()),
        None => "curl".into(),
    };
    let get = |path, parameters: &[(&str, &str)]| format!("  {curl} '{api}{}'", target(path, parameters));
    lines.push(get("/api/rke/discover", &[("domain", DOMAIN)]));
    let create = target("/api/rke/session", &[("domain", DOMAIN), ("wallet_path", &wallet)]);
    lines.push(format!(
        "  SESSION_ID=$({curl} -s '{api}{create}' | grep -o '[0-9a-f]\\{{32\\}}'); echo $SESSION_ID"
    ));
    let with_id = |path: &str, rest: &str| format!("  {curl} \"{api}{path}?session_id=$SESSION_ID{rest}\"");
    lines.push(get("/api/rke/sessions", &[]));
    lines.push(format!("  {curl} \"{api}/api/rke/session/$SESSION_ID\""));
    lines.push(format!(
        "  ENCRYPTED=$({curl} -s \"{api}/api/rke/encrypt?session_id=$SESSION_ID&plaintext=SGVsbG8gV29ybGQh\"); echo $ENCRYPTED"
    ));
    let field = |name| format!("$(echo $ENCRYPTED | sed 's/.*\"{name}\":\"\\([^\"]*\\).*/\\1/')");
    let rest = format!("&ciphertext={}&nonce={}", field("ciphertext"), field("nonce"));
    lines.push(with_id("/api/rke/decrypt", &rest));
    lines.push(get("/api/rke/status", &[]));
    lines.push(get("/api/rke/raidas", &[]));
    lines.push(format!(
        "  echo hello | {curl} -sN -X POST --data-binary @- \"{api}/api/rke/session/$SESSION_ID/tunnel\""
    ));
    lines.push(with_id("/api/rke/session/delete", ""));
    lines
}
