//! Two instances of a Content Server with the same master secrets and one store, a relay that leads to either, and a daemon whose DNS
//! names the relay.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rke_proto::ContentServerId;
use rke_raida::content_server::{Application, ContentServer, KeyRing, ReceptionPolicy, ServerConfig};
use rke_shared_store::key_file::add_key;
use rke_shared_store::{Addresses, Deployment, Sharing};

use crate::records::Detour;
use crate::servers::free_port;
use crate::support::{Answer, DOMAIN, PATIENCE, again, network, raw, request};

/// The Content Server ID of local networks.
pub(super) const CS_ID: &str = "CONTENT-SERVER01";

/// A redis-server without persistence.
pub(super) struct Redis {
    pub(super) port: u16,
    process: Option<Child>,
}

impl Redis {
    pub(super) fn start() -> Self {
        let mut redis = Self { port: free_port(), process: None };
        redis.start_again();
        redis
    }

    pub(super) fn start_again(&mut self) {
        let port = self.port.to_string();
        let mut command = Command::new("redis-server");
        command.args(["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("redis-server; on Debian `apt-get install redis-server`"));
    }

    pub(super) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("killed");
            process.wait().expect("ended");
        }
    }

    /// Sends `STOP` or `CONT`.
    pub(super) fn signal(&self, name: &str) {
        let id = self.process.as_ref().expect("a process").id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().expect("kill").success());
    }

    pub(super) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Leads each new connection to one of the instances, and keeps what clients send first.
pub(super) struct Relay {
    pub(super) port: u16,
    target: Arc<AtomicU16>,
    first: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Relay {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (target, first) = (Arc::new(AtomicU16::new(0)), Arc::new(Mutex::new(Vec::new())));
        let relay = Self { port, target: Arc::clone(&target), first: Arc::clone(&first) };
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (port, first) = (target.load(Ordering::SeqCst), Arc::clone(&first));
                std::thread::spawn(move || carry(client, port, &first));
            }
        });
        relay
    }

    pub(super) fn lead_to(&self, server: &ContentServer) {
        self.target.store(server.address().port(), Ordering::SeqCst);
    }

    /// What clients have sent first, one for each connection.
    pub(super) fn first_packets(&self) -> Vec<Vec<u8>> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn carry(mut client: TcpStream, port: u16, first: &Mutex<Vec<Vec<u8>>>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)) else { return };
    let mut packet = vec![0; 65536];
    let Ok(len) = client.read(&mut packet) else { return };
    packet.truncate(len);
    first.lock().unwrap_or_else(PoisonError::into_inner).push(packet.clone());
    if server.write_all(&packet).is_err() {
        return;
    }
    let (mut from_server, mut to_client) =
        (server.try_clone().expect("a stream"), client.try_clone().expect("a stream"));
    let down = std::thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut client, &mut server);
    let _ = server.shutdown(std::net::Shutdown::Write);
    let _ = down.join();
}

pub(super) struct Pair {
    pub(super) redis: Redis,
    pub(super) relay: Relay,
    pub(super) one: ContentServer,
    pub(super) two: ContentServer,
    pub(super) detour: Detour,
    config: ServerConfig,
    _keys: tempfile::TempDir,
}

/// An instance with a data folder of its own.
pub(super) struct Elsewhere {
    pub(super) server: ContentServer,
    /// Its audit log.
    pub(super) audit_log: PathBuf,
    folder: tempfile::TempDir,
    _logs: tempfile::TempDir,
}

/// The key file and the store of a test.
pub(super) fn sharing(redis: &Redis, folder: &tempfile::TempDir) -> Sharing {
    let key_file: PathBuf = folder.path().join("store.key");
    if !key_file.exists() {
        add_key(&key_file).expect("a key");
    }
    let addresses = Addresses { urls: vec![redis.url()], deployment: Deployment::Single };
    Sharing { addresses, key_file, hold: Duration::from_secs(1) }
}

impl Pair {
    pub(super) async fn start(rules: ReceptionPolicy) -> Self {
        let redis = Redis::start();
        let keys = tempfile::tempdir().expect("a folder");
        let sharing = sharing(&redis, &keys);
        let dir = tempfile::tempdir().expect("a folder");
        let mut network = network(&dir).await;
        network.stop_content_server().await;
        let data = network.server_data_dir();
        let rules = ReceptionPolicy { domains: vec![DOMAIN.into()], ..rules };
        let config = ServerConfig { sharing: Some(sharing), rules, ..ServerConfig::new(Application::Echo) };
        let start = async || {
            let cs_id = ContentServerId::new(CS_ID).expect("an ID");
            let ring = KeyRing::open(cs_id, &data).expect("key sets");
            ContentServer::start(config.clone(), ring).await.map_err(|error| error.to_string())
        };
        // The store's server may not listen yet.
        let (one, two) = (again(start).await, again(start).await);
        let relay = Relay::start();
        relay.lead_to(&one);
        let mut records = network.records().clone();
        records.port = relay.port;
        let detour = Detour::on(dir, network, records, |_| ()).await;
        let pair = Self { redis, relay, one, two, detour, config, _keys: keys };
        pair.until_settled().await;
        pair
    }

    /// Waits until a first session opens: for 15 seconds after a primary has started, nobody knows what an older one has accepted.
    pub(super) async fn until_settled(&self) {
        let id = again(async || self.create().await).await;
        assert_eq!(self.delete_everywhere(&id).await.status, 200);
    }

    /// Opens a session by an exchange. Returns its id, or what the daemon says.
    pub(super) async fn create(&self) -> Result<String, String> {
        let created = self.detour.create().await;
        id_of(&created)
    }

    /// Opens a session with what an earlier exchange has given.
    pub(super) async fn resume(&self) -> Result<String, String> {
        let wallet = self.detour.network.wallet().display();
        let create = format!("/api/rke/session?domain={DOMAIN}&wallet_path={wallet}");
        id_of(&self.detour.get(&create).await)
    }

    /// Sends data through a session's tunnel to the echo behind the Content Server.
    pub(super) async fn echo(&self, id: &str) -> Answer {
        let daemon = self.detour.daemon.address();
        let head = format!(
            "POST /api/rke/session/{id}/tunnel HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: 5\r\n\r\n"
        );
        raw(daemon, [head.as_bytes(), b"hello"].concat()).await
    }

    pub(super) async fn delete_everywhere(&self, id: &str) -> Answer {
        let target = format!("/api/rke/session/{id}?everywhere=true");
        request(self.detour.daemon.address(), "DELETE", &target).await
    }

    /// The id of a session's key.
    pub(super) async fn key_id(&self, id: &str) -> String {
        let shown = self.detour.get(&format!("/api/rke/session/{id}")).await.json();
        shown["key_id"].as_str().expect("a key id").to_owned()
    }

    /// The key file of the store.
    pub(super) fn key_file(&self) -> &Path {
        &self.config.sharing.as_ref().expect("a store").key_file
    }

    /// A third instance, whose data folder is a copy with another key set.
    pub(super) async fn with_a_key_set_more(&self) -> Elsewhere {
        let (own, folder) = (self.detour.network.server_data_dir(), tempfile::tempdir().expect("a folder"));
        let copied = Command::new("cp").args(["-a", "-T"]).arg(&own).arg(folder.path()).status();
        assert!(copied.expect("cp").success());
        let cs_id = ContentServerId::new(CS_ID).expect("an ID");
        let mut ring = KeyRing::open(cs_id, folder.path()).expect("key sets");
        ring.next_key_set().expect("a key set");
        let logs = tempfile::tempdir().expect("a folder");
        let audit_log = logs.path().join("audit.log");
        let config = ServerConfig { audit_log: Some(audit_log.clone()), ..self.config.clone() };
        let server = ContentServer::start(config, ring).await.expect("a Content Server");
        Elsewhere { server, audit_log, folder, _logs: logs }
    }

    /// Copies that key set into the folder of the others, as an operator does.
    pub(super) fn take_key_set_from(&self, elsewhere: &Elsewhere) {
        let entries = elsewhere.folder.path().read_dir().expect("a folder").flatten();
        let set = entries.map(|entry| entry.path()).find(|path| path.to_string_lossy().ends_with("-k2"));
        let set = set.expect("the key set's folder");
        let copied =
            Command::new("cp").arg("-a").arg(set).arg(self.detour.network.server_data_dir()).status();
        assert!(copied.expect("cp").success());
    }

    pub(super) async fn stop(self) {
        self.one.stop().await;
        self.two.stop().await;
        self.detour.stop().await;
    }
}

fn id_of(created: &Answer) -> Result<String, String> {
    match created.status {
        200 => Ok(created.json()["session_id"].as_str().expect("an id").to_owned()),
        _ => Err(created.body.clone()),
    }
}

/// Sends a first packet to an instance, as someone who has recorded it would. Returns what comes back.
pub(super) fn replay(server: SocketAddr, packet: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server).expect("a Content Server");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(packet).expect("sent");
    stream.shutdown(std::net::Shutdown::Write).expect("closed");
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("a response");
    response
}
