//! What RAIDA nodes and Content Servers show to those who monitor them, and record in their audit logs. The programs run as separate processes, in place of
//! a node and of the Content Server of a local network, so real daemons use them.

mod audit;
mod content_server;
mod fake;
pub(crate) mod metrics;
mod node;
mod prometheus;
mod status;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal, kill_process};

use self::metrics::{Metrics, OPENMETRICS, TEXT, assert_documented};
use crate::real::{get_with, request_with};
use crate::support::{Answer, DOMAIN, Stage, again, again_blocking, raw};

/// Ends the line that says where the metrics are.
const AT: &str = "Its metrics are at http://";

/// A program that is monitored. Dropping it kills it.
pub(crate) struct Program {
    child: Child,
    log: Arc<Mutex<String>>,
    metrics: SocketAddr,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        Self::start_at(arguments, "127.0.0.1:0")
    }

    /// The same, with its metrics at this address.
    fn start_at(arguments: &[&str], metrics: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
        command.args(arguments).args(["--metrics", metrics]).stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("rke runs");
        let log = Arc::new(Mutex::new(String::new()));
        let (lines, written) =
            (BufReader::new(child.stderr.take().expect("a log")).lines(), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                *written.lock().expect("unpoisoned") += &(line + "\n");
            }
        });
        let metrics = again_blocking(|| {
            let log = log.lock().expect("unpoisoned").clone();
            let address = log.lines().find_map(|line| line.strip_prefix(AT)?.strip_suffix("/metrics"));
            address.and_then(|address| address.parse().ok()).ok_or(log)
        });
        Self { child, log, metrics }
    }

    /// The program in place of the Content Server of the stage.
    pub(crate) async fn content_server(stage: &mut Stage, more: &[&str]) -> Self {
        let address = stage.network.content_server_address().to_string();
        stage.network.stop_content_server().await;
        let data_dir = stage.network.server_data_dir();
        let data_dir = data_dir.to_str().expect("UTF-8");
        let serve = ["content-server", "serve", "--cs-id", "CONTENT-SERVER01", "--listen", &address];
        Self::start(&[&serve[..], &["--data-dir", data_dir, "--domain", DOMAIN], more].concat())
    }

    fn log(&self) -> String {
        self.log.lock().expect("unpoisoned").clone()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
    }

    /// Waits until the log has this text, and returns the line.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        again_blocking(|| {
            let log = self.log();
            log.lines().find(|line| line.contains(text)).map(str::to_owned).ok_or(log)
        })
    }

    async fn get(&self, target: &str, headers: &str) -> Answer {
        raw(self.metrics, get_with(target, headers)).await
    }

    async fn metrics(&self) -> Metrics {
        let answer = self.get("/metrics", &format!("host: localhost\naccept: {OPENMETRICS}")).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(OPENMETRICS)));
        Metrics::read(&answer)
    }

    async fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.metrics().await.value(name, labels)
    }

    /// Its output is what this chapter documents, in both formats, and only programs on this machine get it.
    async fn check(&mut self, chapter: &str) {
        let metrics = self.metrics().await;
        assert_documented(&metrics, "monitoring.md", chapter);
        let answer = self.get("/metrics", "host: localhost").await;
        assert_eq!(answer.header("content-type"), Some(TEXT));
        assert_eq!(Metrics::read(&answer).series(), metrics.series());
        for (target, text) in
            [("/health/live", r#"{"status":"live"}"#), ("/health/ready", r#"{"status":"ready"}"#)]
        {
            let answer = self.get(target, "host: 127.0.0.1").await;
            assert_eq!((answer.status, answer.body.as_str()), (200, text));
        }
        for target in ["/metrics", "/health/live", "/health/ready"] {
            assert_eq!(self.get(target, "host: evil.example").await.status, 421);
            let page = "host: localhost\norigin: https://evil.example";
            assert_eq!(self.get(target, page).await.status, 403);
            assert_eq!(raw(self.metrics, request_with("POST", target, "host: localhost")).await.status, 405);
        }
        for target in ["/", "/api/rke/status", "/api/rke/sessions", "/book/"] {
            assert_eq!(self.get(target, "host: localhost").await.status, 404, "{target}");
        }
    }

    /// Ends it, and expects that it does so in order.
    pub(crate) fn stop(mut self) {
        self.signal(Signal::TERM);
        assert!(self.child.wait().expect("an exit status").success(), "{}", self.log());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a command that does not start says.
fn refused(arguments: &[&str], dir: &Path) -> String {
    let output = crate::dev::rke(arguments, dir).output().expect("rke runs");
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}
