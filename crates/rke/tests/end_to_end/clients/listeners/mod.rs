//! Listeners to events, when the daemon stops and when it is killed: only the first is an end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rke_client::{Client, Error, Event};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::real::Real;

/// How long a line may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A file or folder next to this one.
fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/end_to_end/clients/listeners").join(name)
}

/// A program that prints the name of each event, and then how the events ended.
struct Listener {
    name: &'static str,
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Listener {
    fn start(name: &'static str, mut command: Command) -> Self {
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{name} is needed for this test: {error}"));
        let lines = BufReader::new(child.stdout.take().expect("an output")).lines();
        Self { name, lines, _child: child }
    }

    async fn line(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.unwrap_or_else(|_| panic!("{} still waits", self.name));
        line.expect("UTF-8").unwrap_or_else(|| panic!("{} failed", self.name))
    }

    /// Waits until it listens.
    async fn listens(&mut self) {
        while self.line().await != "refusals" {}
    }

    /// Waits until its events end. Returns how.
    async fn end(&mut self) -> String {
        loop {
            let line = self.line().await;
            if ["ended", "broken off"].contains(&&*line) {
                return line;
            }
        }
    }
}

/// The program around the Go client.
async fn go(dir: &Path) -> PathBuf {
    let program = dir.join("listen");
    let mut build = Command::new("go");
    build.args(["build", "-buildvcs=false", "-o"]).arg(&program).current_dir(source("go"));
    let output = build.output().await.unwrap_or_else(|error| panic!("go is needed for this test: {error}"));
    assert!(output.status.success(), "go build: {}", String::from_utf8_lossy(&output.stderr));
    program
}

async fn listeners(daemon: SocketAddr, go: &Path) -> Vec<Listener> {
    let url = format!("http://{daemon}");
    let program = |name: &str, script: Option<&str>, half: Option<&str>| {
        let mut command = Command::new(name);
        command.args(script.map(source)).args(half).arg(&url);
        command
    };
    let mut listeners = vec![
        Listener::start("node", program("node", Some("listen.mjs"), None)),
        Listener::start("python3", program("python3", Some("listen.py"), Some("blocking"))),
        Listener::start("asyncio", program("python3", Some("listen.py"), Some("asyncio"))),
        Listener::start("go", program(go.to_str().expect("UTF-8"), None, None)),
    ];
    for listener in &mut listeners {
        listener.listens().await;
    }
    listeners
}

/// Listens with the Rust client. Returns once it does; the channel gets how its events ended.
async fn rust(daemon: SocketAddr) -> mpsc::Receiver<&'static str> {
    let mut events = Client::new(daemon.to_string()).events().await.expect("events");
    while !matches!(events.next().await.expect("an event"), Some(Event::Other { name, .. }) if name == "refusals")
    {
    }
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        let end = loop {
            match events.next().await {
                Ok(Some(_)) => (),
                Ok(None) => break "ended",
                Err(Error::CutShort { .. }) => break "broken off",
                Err(error) => panic!("{error}"),
            }
        };
        sender.send(end).await.expect("a receiver");
    });
    receiver
}

#[tokio::test(flavor = "multi_thread")]
async fn events_end_where_the_daemon_stops_and_break_off_where_it_is_killed() {
    let dir = tempfile::tempdir().expect("a folder");
    let go = go(dir.path()).await;
    for expected in ["ended", "broken off"] {
        let mut real = Real::start(&[]).await;
        let mut listeners = listeners(real.address, &go).await;
        let mut rust = rust(real.address).await;
        tokio::task::block_in_place(|| if expected == "ended" { real.terminate() } else { real.kill() });
        for listener in &mut listeners {
            assert_eq!(listener.end().await, expected, "{}", listener.name);
        }
        assert_eq!(timeout(PATIENCE, rust.recv()).await.expect("an end"), Some(expected));
    }
}
