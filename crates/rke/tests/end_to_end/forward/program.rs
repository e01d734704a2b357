//! A running `rke forward`, and the server that its connections are carried to.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rke_raida::content_server::{Application, ServerConfig, Target};
use rke_raida::network::LocalNetwork;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use crate::support::{DOMAIN, PATIENCE, Stage, again};

/// A running `rke forward`.
pub(super) struct Forward {
    pub(super) address: SocketAddr,
    log: Arc<Mutex<String>>,
    child: Child,
}

impl Forward {
    /// Starts it on any port, and waits until it is ready.
    pub(super) async fn start(daemon: &str, more: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
        command.args(["forward", DOMAIN, "127.0.0.1:0", "--daemon", daemon, "--timeout", "60"]).args(more);
        tokio::task::spawn_blocking(move || Self::run(&mut command)).await.expect("no panic")
    }

    /// With a session of its own.
    pub(super) async fn own(stage: &Stage) -> Self {
        let wallet = stage.network.wallet().to_str().expect("UTF-8").to_owned();
        Self::start(&stage.daemon.address().to_string(), &["--wallet", &wallet]).await
    }

    pub(super) fn run(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("rke runs");
        let log = Arc::<Mutex<String>>::default();
        let (lines, noted) = (BufReader::new(child.stderr.take().expect("a log")).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *noted.lock().expect("unpoisoned") += &format!("{line}\n");
            }
        });
        let mut ready = String::new();
        BufReader::new(child.stdout.take().expect("an output")).read_line(&mut ready).expect("a line");
        let address = ready.split(' ').nth(1).and_then(|address| address.parse().ok());
        let address = address.unwrap_or_else(|| panic!("{ready:?} {}", log.lock().expect("unpoisoned")));
        Self { address, log, child }
    }

    pub(super) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.expect("connected")
    }

    /// Makes a connection that is reset before any data, perhaps as soon as it is made.
    pub(super) async fn expect_reset(&self) {
        match TcpStream::connect(self.address).await {
            Ok(mut stream) => assert_eq!(read_all(&mut stream).await, None),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset),
        }
    }

    pub(super) fn log(&self) -> String {
        self.log.lock().expect("unpoisoned").clone()
    }

    /// Waits for a line about a failed connection, and returns the whole log.
    pub(super) async fn logs(&self, reason: &str) -> String {
        again(async || match self.log() {
            log if log.contains(reason) => Ok(log),
            log => Err(format!("no {reason:?} in {log:?}")),
        })
        .await
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
    }

    /// Waits until it has ended, and returns its exit code.
    pub(super) async fn ended(&mut self) -> Option<i32> {
        again(async || self.child.try_wait().expect("a status").ok_or_else(|| "it runs".to_owned()))
            .await
            .code()
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server that the Content Server forwards to.
pub(super) struct Behind(pub(super) TcpListener);

impl Behind {
    pub(super) async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.expect("a port"))
    }

    pub(super) fn address(&self) -> String {
        self.0.local_addr().expect("an address").to_string()
    }

    pub(super) async fn accept(&self) -> TcpStream {
        within(self.0.accept()).await.expect("a connection").0
    }

    /// A new connection through `rke forward`, at both ends.
    pub(super) async fn pair(&self, forward: &Forward) -> (TcpStream, TcpStream) {
        let (mut local, mut far) = tokio::join!(forward.connect(), self.accept());
        local.write_all(b"ping").await.expect("sent");
        assert_eq!(read_some(&mut far, 4).await, "ping");
        far.write_all(b"pong").await.expect("sent");
        assert_eq!(read_some(&mut local, 4).await, "pong");
        (local, far)
    }
}

/// The same behind the Content Server of a network.
pub(super) async fn forward_to(network: &mut LocalNetwork, address: &str) {
    let target = Target::look_up(address).expect("an address");
    let server = ServerConfig::new(Application::Forward(target));
    network.restart_content_server_with(server).await.expect("a Content Server");
}

/// A network whose Content Server forwards, and where to.
pub(super) async fn stage() -> (Stage, Behind) {
    let (mut stage, behind) = (Stage::new().await, Behind::start().await);
    forward_to(&mut stage.network, &behind.address()).await;
    (stage, behind)
}

pub(super) async fn within<T>(work: impl Future<Output = T>) -> T {
    timeout(PATIENCE, work).await.expect("soon")
}

/// The next bytes, that many.
pub(super) async fn read_some(stream: &mut TcpStream, len: usize) -> String {
    let mut data = vec![0; len];
    within(stream.read_exact(&mut data)).await.expect("data");
    String::from_utf8(data).expect("UTF-8")
}

/// What arrives up to the end. `None` if a reset comes in its place.
pub(super) async fn read_all(stream: &mut TcpStream) -> Option<String> {
    let mut data = Vec::new();
    match within(stream.read_to_end(&mut data)).await {
        Ok(_) => Some(String::from_utf8(data).expect("UTF-8")),
        Err(error) => {
            assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
            None
        }
    }
}

/// The ids of the daemon's sessions.
pub(super) async fn ids(stage: &Stage) -> Vec<String> {
    let listed = stage.get("/api/rke/sessions").await.json();
    let rows = listed["sessions"].as_array().expect("rows").iter();
    rows.filter_map(|row| row["session_id"].as_str().map(str::to_owned)).collect()
}

pub(super) async fn expires_at(stage: &Stage, id: &str) -> Value {
    stage.get(&format!("/api/rke/session/{id}")).await.json()["expires_at"].clone()
}
