//! The real parts on free ports, and a client that shows responses as they arrived.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use rke_daemon::Daemon;
use rke_engine::settings::Config;
use rke_host::data_dir::DataDirError;
use rke_host::exports::ExportLabels;
use rke_proto::ContentServerId;
use rke_raida::content_server::{Application, ContentServerError, Launcher, ServerConfig};
use rke_raida::network::{LocalNetwork, LocalNetworkConfig, NetworkError};
use serde_json::Value;

pub(crate) const DOMAIN: &str = "content.rke.test";

/// How long anything may take on a busy machine. A test whose exchange can only end by its timeout sets a short one.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A local network and a daemon on it.
pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) network: LocalNetwork,
    pub(crate) daemon: Daemon,
}

/// This command as the application behind a Content Server. Its launcher is a process of the program.
pub(crate) fn running(command: &str) -> Application {
    let mut launcher = Command::new(env!("CARGO_BIN_EXE_rke"));
    launcher.args(["launch-commands", command]);
    Application::Exec(Launcher::start(launcher).expect("a launcher"))
}

/// Starts a network, even right after another has stopped. A program that another test is starting at that moment
/// is first a copy of this process, which still holds the locks of all data directories.
pub(crate) async fn network(dir: &tempfile::TempDir) -> LocalNetwork {
    network_with(dir, ServerConfig::new(Application::Echo)).await
}

/// The same with this Content Server.
pub(crate) async fn network_with(dir: &tempfile::TempDir, server: ServerConfig) -> LocalNetwork {
    for _ in 0..1000 {
        match LocalNetwork::start_with(network_config(dir), server.clone()).await {
            Err(NetworkError::Keys(ContentServerError::DataDir(DataDirError::InUse(_)))) => {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            started => return started.expect("a local network"),
        }
    }
    panic!("the data directory stays in use");
}

fn network_config(dir: &tempfile::TempDir) -> LocalNetworkConfig {
    LocalNetworkConfig {
        dir: dir.path().into(),
        domain: DOMAIN.into(),
        cs_id: ContentServerId::new("CONTENT-SERVER01").expect("an ID"),
        first_raida_port: 0,
        dns_port: 0,
        content_server_port: 0,
    }
}

pub(crate) fn config(dir: &tempfile::TempDir, dns: SocketAddr) -> Config {
    let mut config = Config::new(dir.path().join("daemon"));
    config.fixed.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0)).into()];
    config.fixed.dns_server = Some(dns);
    config.reloadable.exchange_timeout = PATIENCE;
    config.reloadable.confirm_timeout = PATIENCE;
    config
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// One whose ends both export keys with labels that begin with `test`.
    pub(crate) async fn exporting() -> Self {
        let allow_export = ExportLabels::new(vec!["test*".into()]);
        let server =
            ServerConfig { allow_export: allow_export.clone(), ..ServerConfig::new(Application::Echo) };
        Self::with_server(server, |config| config.reloadable.allow_export = allow_export).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::with_server(ServerConfig::new(Application::Echo), change).await
    }

    async fn with_server(server: ServerConfig, change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let network = network_with(&dir, server).await;
        let mut config = config(&dir, network.dns_address());
        change(&mut config);
        let daemon = Daemon::start(config).await.expect("a daemon");
        Self { dir, network, daemon }
    }

    pub(crate) async fn get(&self, target: &str) -> Answer {
        get(self.daemon.address(), target).await
    }

    pub(crate) fn create_target(&self) -> String {
        format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", self.network.wallet().display())
    }

    pub(crate) async fn create(&self) -> Value {
        let answer = self.get(&self.create_target()).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    pub(crate) async fn create_id(&self) -> String {
        self.create().await["session_id"].as_str().expect("an id").to_owned()
    }

    pub(crate) async fn stop(self) {
        self.daemon.stop().await;
        self.network.stop().await;
    }
}

/// Tries something again until it succeeds. Some parts of the program wait for others only briefly, and a busy machine
/// may pause any of them for longer.
pub(crate) async fn again<T>(mut attempt: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt().await {
            Ok(done) => return done,
            Err(why) => assert!(Instant::now() < deadline, "{why}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The same for something that blocks.
pub(crate) fn again_blocking<T>(mut attempt: impl FnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match attempt() {
            Ok(done) => return done,
            Err(why) => assert!(Instant::now() < deadline, "{why}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Makes the sessions of a daemon with these settings expire, by another limit on how long they may be idle.
pub(crate) async fn expire(daemon: &Daemon, mut settings: Config) {
    settings.reloadable.session_idle = Some(Duration::from_millis(1));
    daemon.reload(settings).await.expect("a reload");
}

/// A response as it arrived.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
        Self { status, head: head.to_lowercase(), body: body.into() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }
}

pub(crate) async fn get(address: SocketAddr, target: &str) -> Answer {
    request(address, "GET", target).await
}

pub(crate) async fn request(address: SocketAddr, method: &str, target: &str) -> Answer {
    raw(address, format!("{method} {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await
}

/// Sends bytes and reads until the daemon closes the connection.
pub(crate) async fn raw(address: SocketAddr, request: impl Into<Vec<u8>>) -> Answer {
    let request = request.into();
    let exchange = move || {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(2 * PATIENCE)).expect("a timeout");
        stream.write_all(&request).expect("sent");
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    };
    let text = tokio::task::spawn_blocking(exchange).await.expect("no panic");
    Answer::parse(&text)
}

/// Reads what has arrived. If a child of another test ends, it interrupts reads that have a time limit.
pub(crate) fn read_some(stream: &mut TcpStream, bytes: &mut [u8]) -> std::io::Result<usize> {
    loop {
        match stream.read(bytes) {
            Err(error) if error.kind() == ErrorKind::Interrupted => (),
            read => return read,
        }
    }
}

/// A text, percent-encoded for a query.
pub(crate) fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}
