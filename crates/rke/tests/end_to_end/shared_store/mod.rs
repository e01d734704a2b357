//! Daemons that share their sessions in a store: real processes, a real redis-server, a real network.

#[path = "../../../../rke-shared-store/src/tests/server.rs"]
#[allow(dead_code, reason = "the tests of rke-shared-store use all of it")]
pub(crate) mod server;

#[path = "../../../../rke-shared-store/src/tests/sentinel.rs"]
pub(crate) mod sentinel;

mod audit;
mod doctor;
mod failures;
mod secured;
mod sessions;
mod starts;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rke_raida::network::LocalNetwork;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use self::server::Server;
use crate::support::{Answer, DOMAIN, again, get, network, request};

/// A network, a store, and its key file.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    pub(crate) network: LocalNetwork,
    /// The DNS server of daemons.
    pub(crate) dns: SocketAddr,
    pub(crate) store: Server,
}

/// A daemon in a process. Dropping it kills it.
pub(crate) struct Daemon {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Site {
    async fn new() -> Self {
        Self::with(Server::start(&[])).await
    }

    pub(crate) async fn with(store: Server) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let network = network(&dir).await;
        let dns = network.dns_address();
        let site = Self { dir, network, dns, store };
        site.make_key("store.key");
        site
    }

    fn make_key(&self, name: &str) {
        let made =
            Command::new(env!("CARGO_BIN_EXE_rke")).args(["store", "key"]).arg(self.path(name)).output();
        assert!(made.expect("rke runs").status.success());
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `rke serve` with a data directory of this name.
    fn serve(&self, name: &str, more: &[&str]) -> Command {
        self.serve_at(&["--store", &self.store.url()], name, more)
    }

    /// The same with these options for the store.
    pub(crate) fn serve_at(&self, store: &[&str], name: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
        command.args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--exchange-timeout",
            "60",
            "--confirm-timeout",
            "60",
        ]);
        command.args(["--dns-server", &self.dns.to_string()]);
        command.arg("--data-dir").arg(self.path(name)).args(store);
        if !more.contains(&"--store-key-file") {
            command.arg("--store-key-file").arg(self.path("store.key"));
        }
        command.args(more).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// The log of a daemon until it listens.
    fn log_of_start(&self) -> String {
        Daemon::start(self.serve("logged", &[])).1.join("\n")
    }

    fn daemon_with(&self, name: &str, more: &[&str]) -> Daemon {
        Daemon::start(self.serve(name, more)).0
    }

    fn daemon(&self, name: &str) -> Daemon {
        self.daemon_with(name, &[])
    }

    fn daemons(&self) -> [Daemon; 3] {
        ["one", "two", "three"].map(|name| self.daemon(name))
    }

    /// What a daemon says that does not start.
    fn refusal(&self, more: &[&str]) -> String {
        let Output { status, stderr, .. } = self.serve("refused", more).output().expect("rke runs");
        assert!(!status.success());
        String::from_utf8_lossy(&stderr).into_owned()
    }

    /// Opens a session.
    async fn try_create(&self, daemon: &Daemon) -> Answer {
        get(daemon.address, &create_target(self)).await
    }

    async fn create(&self, daemon: &Daemon) -> Value {
        let created = self.try_create(daemon).await;
        assert_eq!(created.status, 200, "{}", created.body);
        created.json()
    }

    async fn create_id(&self, daemon: &Daemon) -> String {
        self.create(daemon).await["session_id"].as_str().expect("an id").to_owned()
    }
}

impl Daemon {
    /// Starts it. Returns its log until it listens.
    pub(crate) fn start(mut serve: Command) -> (Self, Vec<String>) {
        let mut child = serve.spawn().expect("rke runs");
        let mut lines = BufReader::new(child.stderr.take().expect("a log")).lines();
        let mut log = Vec::new();
        let address = loop {
            let line = lines.next().unwrap_or_else(|| panic!("serve ended: {log:?}")).expect("a line");
            if let Some((_, address)) = line.split_once("listening address=") {
                break address.parse().expect("an address");
            }
            log.push(line);
        };
        // A full pipe would stop the daemon.
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        (Self { child, address }, log)
    }

    async fn get(&self, target: &str) -> Answer {
        get(self.address, &format!("/api/rke/{target}")).await
    }

    async fn request(&self, method: &str, target: &str) -> Answer {
        request(self.address, method, &format!("/api/rke/{target}")).await
    }

    async fn encrypt(&self, id: &str) -> Answer {
        self.get(&format!("encrypt?session_id={id}&plaintext=aGVsbG8%3D")).await
    }

    /// Uses a session, which must work.
    async fn uses(&self, id: &str) -> Value {
        let answer = self.encrypt(id).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    /// Uses a session, which must not exist. While the store is new, that is "try again".
    async fn does_not_have(&self, id: &str) {
        let answer = self.encrypt(id).await;
        assert!(matches!(answer.status, 404 | 503), "{}", answer.body);
    }

    async fn delete(&self, id: &str) -> Answer {
        self.get(&format!("session/delete?session_id={id}")).await
    }

    /// Deletes a session, which must exist.
    async fn deletes(&self, id: &str) {
        let answer = self.delete(id).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    async fn list(&self) -> Value {
        let answer = self.get("sessions").await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.json()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("an exit status");
    }

    /// Stops it in order.
    fn stop(mut self) {
        self.signal(Signal::TERM);
        assert!(self.child.wait().expect("an exit status").success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The target of a request that opens a session.
pub(crate) fn create_target(site: &Site) -> String {
    format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", site.network.wallet().display())
}

/// Waits until the store's primary is no longer new, so that an unknown id is not found.
async fn settled(daemon: &Daemon) {
    again(async || match daemon.encrypt(&"0".repeat(32)).await {
        Answer { status: 404, .. } => Ok(()),
        Answer { body, .. } => Err(body),
    })
    .await;
}
