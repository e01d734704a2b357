//! Three daemons and two Content Servers in processes of their own, each with its own way to the store, and a network of RAIDAs.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rke_raida::dns::DnsServer;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use super::checker::Promises;
use super::history::Place;
use super::relay::Relay;
use crate::servers::free_port;
use crate::shared_store::server::Server;
use crate::shared_store::{Daemon, Site, create_target};
use crate::support::{PATIENCE, again};

pub(super) const DAEMONS: usize = 3;
pub(super) const SERVERS: usize = 2;

const NAMES: [&str; DAEMONS] = ["one", "two", "three"];

pub(super) const PROMISES: Promises = Promises { max_sessions: 40, hold: Duration::from_millis(500) };
const OPTIONS: [&str; 4] = ["--max-sessions", "40", "--hold", "500"];

pub(super) struct Deployment {
    pub(super) site: Site,
    daemons: Mutex<Vec<Daemon>>,
    servers: Vec<ContentServer>,
    /// To the store.
    ways: Vec<Relay>,
    options: Vec<&'static str>,
    _dns: DnsServer,
}

/// An instance in a process. Dropping it kills it.
struct ContentServer {
    child: Child,
    socket: PathBuf,
}

impl Deployment {
    pub(super) async fn new() -> Self {
        let store = Server::start(&[]);
        let port = store.port();
        Self::at(store, port, &[]).await
    }

    /// Starts everything, and waits until a session opens: while a store is new, Content Servers accept nothing. Nodes get this port, and
    /// these options that say what is there.
    pub(super) async fn at(store: Server, port: u16, options: &[&'static str]) -> Self {
        let mut site = Site::with(store).await;
        site.network.stop_content_server().await;
        let mut ways = Vec::new();
        for _ in 0..DAEMONS + SERVERS {
            ways.push(Relay::to(&[port]).await);
        }
        let own = site.network.server_data_dir();
        let copied = Command::new("cp").arg("-a").arg(&own).arg(site.path("copy")).status();
        assert!(copied.expect("cp").success());
        let ports: [u16; SERVERS] = std::array::from_fn(|_| free_port());
        let servers = [own, site.path("copy")].into_iter().zip(ports).zip(&ways[DAEMONS..]);
        let servers =
            servers.map(|((data, port), way)| ContentServer::start(&site, &data, port, way, options));
        let servers = servers.collect();
        let mut records = site.network.records().clone();
        records.port = Relay::to(&ports).await.port();
        let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
        let dns = DnsServer::start(loopback, [&records], loopback.ip()).await.expect("a DNS server");
        site.dns = dns.address();
        let daemons = Mutex::default();
        let options = options.to_vec();
        let deployment = Self { site, daemons, servers, ways, options, _dns: dns };
        let daemons = (0..DAEMONS).map(|number| deployment.start_daemon(number)).collect();
        *deployment.daemons() = daemons;
        deployment.until_open().await;
        deployment
    }

    fn start_daemon(&self, number: usize) -> Daemon {
        let url = self.ways[number].url();
        let options = [&OPTIONS[..], &self.options[..]].concat();
        Daemon::start(self.site.serve_at(&["--store", &url], NAMES[number], &options)).0
    }

    async fn until_open(&self) {
        let begin = Instant::now();
        loop {
            let opened = self.ask(Place::Daemon(0), "GET", &create_target(&self.site)).await;
            let opened = opened.expect("a response");
            if opened.status == 200 {
                break;
            }
            assert!(begin.elapsed() < PATIENCE, "{}", opened.body);
            // Each attempt asks 25 RAIDAs.
            sleep(Duration::from_millis(500)).await;
        }
        // One instance is enough for that. Both are to be there.
        for server in &self.servers {
            let socket = &server.socket;
            again(async || {
                UnixStream::connect(socket).map(drop).map_err(|error| format!("{socket:?}: {error}"))
            })
            .await;
        }
        let deleted = self.ask(Place::Daemon(0), "DELETE", "/api/rke/sessions").await.expect("a response");
        assert_eq!(deleted.status, 200, "{}", deleted.body);
    }

    pub(super) fn address(&self, daemon: usize) -> SocketAddr {
        self.daemons()[daemon].address
    }

    /// The socket of a Content Server's application.
    pub(super) fn socket(&self, server: usize) -> &Path {
        &self.servers[server].socket
    }

    pub(super) fn signal(&self, daemon: usize, signal: Signal) {
        self.daemons()[daemon].signal(signal);
    }

    /// Kills a daemon, as a machine that loses its power.
    pub(super) fn kill(&self, daemon: usize) {
        self.daemons()[daemon].kill();
    }

    pub(super) fn start_again(&self, daemon: usize) {
        let started = self.start_daemon(daemon);
        self.daemons()[daemon] = started;
    }

    /// The ways to the store: of daemons, then of Content Servers.
    pub(super) fn ways(&self) -> &[Relay] {
        &self.ways
    }

    fn daemons(&self) -> MutexGuard<'_, Vec<Daemon>> {
        self.daemons.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ContentServer {
    fn start(site: &Site, data: &Path, port: u16, way: &Relay, options: &[&str]) -> Self {
        let socket = site.path(&format!("{port}.sock"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
        command.args(["content-server", "serve", "--cs-id", "CONTENT-SERVER01", "--data-dir"]).arg(data);
        command.args([
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--api",
            &format!("unix:{}", socket.display()),
        ]);
        command.args(["--store", &way.url(), "--store-key-file"]).arg(site.path("store.key"));
        // All clients have the same coin.
        command.args(["--hold", "500", "--keys-per-coin", "1000", "--unproven-keys", "1000"]).args(options);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Self { child: command.spawn().expect("rke runs"), socket }
    }
}

impl Drop for ContentServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
