//! A local network of 25 nodes on the server's core, and daemons on it. Daemons in the same folder share their cache,
//! one after the other.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rke_engine::Domain;
use rke_engine::exchange::Kept;
use rke_engine::keys::{Keystore, Limits};
use rke_engine::model::key_origin::{KeyOrigin, MADE_UP_HOST};
use rke_engine::model::server_name::ServerName;
use rke_engine::model::viewer::Viewer;
use rke_engine::sessions::made_up;
use rke_engine::store::NewSession;
use rke_host::data_dir::{DataDir, Role, Sharing};
use rke_proto::ContentServerId;
use rke_proto::Form;
use rke_raida::content_server::{Application, ServerConfig};
use rke_raida::network::{LocalNetwork, LocalNetworkConfig};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use crate::machine::{SERVER_CORE, stay_on};
use crate::nginx::Whole;
use crate::process::{Server, free_address};

pub(crate) const DOMAIN: &str = "content.rke.test";

/// How many other domains there are.
pub(crate) const DOMAINS: usize = 1000;

/// The other domains that the Content Server serves.
pub(crate) fn many_domains() -> impl Iterator<Item = String> {
    (0..DOMAINS).map(|at| format!("d{at}.{DOMAIN}"))
}

/// The network, and the program that is measured.
pub(crate) struct Stage {
    program: PathBuf,
    /// Another key server to compare with, if there is one.
    pub(crate) simulator: Option<PathBuf>,
    folder: TempDir,
    pub(crate) network: LocalNetwork,
    pub(crate) runtime: Runtime,
}

impl Stage {
    pub(crate) fn start(program: &Path, simulator: Option<PathBuf>) -> Result<Self> {
        let folder = tempfile::tempdir().context("cannot make a folder")?;
        let stay = || drop(stay_on(SERVER_CORE));
        let runtime =
            Builder::new_multi_thread().worker_threads(1).on_thread_start(stay).enable_all().build()?;
        let config = LocalNetworkConfig {
            dir: folder.path().join("network"),
            domain: DOMAIN.into(),
            cs_id: ContentServerId::new("CONTENT-SERVER01").context("not a Content Server ID")?,
            first_raida_port: 0,
            dns_port: 0,
            content_server_port: 0,
        };
        std::fs::create_dir_all(&config.dir)?;
        let mut server = ServerConfig::new(Application::Echo);
        server.rules.domains = many_domains().chain([DOMAIN.to_owned()]).collect();
        let network =
            runtime.block_on(LocalNetwork::start_with(config, server)).context("no local network")?;
        Ok(Self { program: std::path::absolute(program)?, simulator, folder, network, runtime })
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn program(&self) -> &Path {
        &self.program
    }

    /// The flags of a daemon that finds the network.
    pub(crate) fn flags(&self, address: SocketAddr, data_dir: &Path) -> Vec<String> {
        flags_with(address, data_dir, self.network.dns_address())
    }

    /// A daemon with room for this many sessions, which opens made-up ones.
    pub(crate) fn daemon(&self, max_sessions: usize) -> Result<Daemon> {
        self.daemon_in("daemon", max_sessions)
    }

    /// The same in a folder of its own, for several at one time.
    pub(crate) fn daemon_in(&self, folder: &str, max_sessions: usize) -> Result<Daemon> {
        cache(&self.folder().join(folder), [made_up_kept(DOMAIN)?])?;
        self.start_daemon(folder, &["--max-sessions".into(), max_sessions.to_string()])
    }

    /// A daemon with further flags, whose sessions are real.
    pub(crate) fn real_daemon(&self, folder: &str, more: &[String]) -> Result<Daemon> {
        let flags = ["--max-sessions", "2000", "--exchange-timeout", "30"].map(str::to_owned);
        self.start_daemon(folder, &[&flags, more].concat())
    }

    /// A daemon with a file of settings that can change, from which a first session opens.
    fn start_daemon(&self, folder: &str, more: &[String]) -> Result<Daemon> {
        let folder = self.folder().join(folder);
        let (address, settings) = (free_address()?, folder.with_extension("toml"));
        std::fs::write(&settings, "").context("cannot write settings")?;
        let mut flags = self.flags(address, &folder);
        flags.extend_from_slice(more);
        flags.extend(["--config".into(), settings.display().to_string()]);
        let server = Server::start(&self.program, &flags, address, &folder.with_extension("log"))?;
        let daemon = Daemon { server, settings, create: self.create_target() };
        Whole::of(&daemon.server, &get(&daemon.create)).context("no session opens")?;
        delete_all(&daemon.server)?;
        Ok(daemon)
    }

    /// A daemon that makes keys by ETSI GS QKD 014 from made-up sessions. The server is its key interface.
    pub(crate) fn key_server(&self) -> Result<Server> {
        let folder = self.folder().join("key-server");
        let (address, etsi) = (free_address()?, free_address()?);
        let mut flags = self.flags(address, &folder);
        flags.extend(["--etsi".into(), etsi.to_string(), "--etsi-sae".into(), "alice".into()]);
        let peer = format!("bob={DOMAIN},{}", self.network.wallet().display());
        flags.extend(["--etsi-peer".into(), peer]);
        cache(&folder, [made_up_kept(DOMAIN)?])?;
        Server::start(&self.program, &flags, etsi, &folder.with_extension("log"))
    }

    fn create_target(&self) -> String {
        format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", self.network.wallet().display())
    }
}

/// Puts this into the key cache of a daemon that does not run.
pub(crate) fn cache(data_dir: &Path, kept: impl IntoIterator<Item = Kept>) -> Result<()> {
    let data_dir = Arc::new(DataDir::open(data_dir, Role::Daemon, Sharing::Alone)?);
    let keystore = Keystore::open(data_dir, Limits { ttl_hours: 24, max: usize::MAX })?;
    for kept in kept {
        keystore.put(&kept, &Viewer::Program)?;
    }
    Ok(())
}

/// The flags of a daemon that asks this DNS server.
pub(crate) fn flags_with(address: SocketAddr, data_dir: &Path, dns: SocketAddr) -> Vec<String> {
    let (address, data_dir, dns) = (address.to_string(), data_dir.display().to_string(), dns.to_string());
    let flags =
        ["serve", "--log", "warn", "--listen", &address, "--data-dir", &data_dir, "--dns-server", &dns];
    flags.map(str::to_owned).into()
}

/// Ends all sessions of a daemon.
pub(crate) fn delete_all(server: &Server) -> Result<()> {
    Whole::of(server, "DELETE /api/rke/sessions HTTP/1.1\r\nHost: localhost\r\n\r\n").map(drop)
}

/// A running daemon.
pub(crate) struct Daemon {
    pub(crate) server: Server,
    settings: PathBuf,
    /// The target of requests that open a session.
    pub(crate) create: String,
}

impl Daemon {
    /// Sessions that are opened from now on live for so long.
    pub(crate) fn set_session_ttl(&self, ttl: Duration) -> Result<()> {
        std::fs::write(&self.settings, format!("session-ttl = {}\n", ttl.as_secs()))?;
        let process = rustix::process::Pid::from_raw(self.server.id()).context("no process")?;
        rustix::process::kill_process(process, rustix::process::Signal::HUP)?;
        let wanted = format!("\"session_timeout_sec\":{}", ttl.as_secs());
        for _ in 0..200 {
            if Whole::of(&self.server, &get("/api/rke/status"))?.body.contains(&wanted) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        anyhow::bail!("the daemon did not take its new settings")
    }
}

/// The cached key of a domain with made-up sessions, which no exchange has made.
pub(crate) fn made_up_kept(domain: &str) -> Result<Kept> {
    Ok(made_up::kept(made_up_origin(domain)?)?)
}

/// The source of the keys of a domain's made-up sessions.
pub(crate) fn made_up_origin(domain: &str) -> Result<KeyOrigin> {
    Ok(KeyOrigin {
        domain: Domain::new(domain).context("not a domain")?,
        cs_id: ContentServerId::new("CS").context("not a Content Server ID")?,
        form: Form::Wide,
        envelopes: vec![5],
        raidas: (0..25).collect(),
        liars: Vec::new(),
        coins: Vec::new(),
        proven: None,
        server: ServerName { host: MADE_UP_HOST.into(), port: 443 },
        tunnel: None,
    })
}

/// A made-up session.
pub(crate) fn made_up_session(origin: &Arc<KeyOrigin>) -> Result<NewSession> {
    let (origin, key) = (Arc::clone(origin), made_up::session_key()?);
    Ok(NewSession { origin, page: None, from_cache: true, key })
}

/// A request for a target.
pub(crate) fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}
