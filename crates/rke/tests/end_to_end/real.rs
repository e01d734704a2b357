//! `rke serve` in a separate process on a local network, and raw bytes to send to it as an attacker would.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rke_raida::network::LocalNetwork;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{Answer, DOMAIN, PATIENCE, network, percent};

/// A daemon in a separate process. Dropping it kills it.
pub(crate) struct Real {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) network: LocalNetwork,
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<String>>,
    child: Child,
    authorities: Option<PathBuf>,
}

/// The most files that a process may have open.
pub(crate) enum Files {
    AsMany,
    AtMost(u32),
}

impl Real {
    pub(crate) async fn start(flags: &[&str]) -> Self {
        Self::start_with(flags, Files::AsMany).await
    }

    pub(crate) async fn start_with(flags: &[&str], files: Files) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let network = network(&dir).await;
        Self::start_on(dir, network, flags, files)
    }

    /// Starts the daemon on a network that is already running.
    pub(crate) fn start_on(
        dir: tempfile::TempDir,
        network: LocalNetwork,
        flags: &[&str],
        files: Files,
    ) -> Self {
        let Running { child, log, address } = launch(&dir, &network, flags, files, None);
        Self { dir, network, address, log, child, authorities: None }
    }

    /// The same, with the certificate authorities of a file instead of the system's.
    pub(crate) fn start_trusting(
        dir: tempfile::TempDir,
        network: LocalNetwork,
        flags: &[&str],
        authorities: PathBuf,
    ) -> Self {
        let running = launch(&dir, &network, flags, Files::AsMany, Some(&authorities));
        let Running { child, log, address } = running;
        Self { dir, network, address, log, child, authorities: Some(authorities) }
    }

    /// Kills the daemon as the system would, and restarts it with the same data.
    pub(crate) fn kill_and_restart(&mut self, flags: &[&str]) {
        self.kill();
        let authorities = self.authorities.as_deref();
        let running = launch(&self.dir, &self.network, flags, Files::AsMany, authorities);
        let Running { child, log, address } = running;
        (self.child, self.log, self.address) = (child, log, address);
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("an exit status");
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("daemon")
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().expect("unpoisoned").clone()
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    pub(crate) fn create_target(&self) -> String {
        let wallet = self.network.wallet().to_str().expect("UTF-8");
        format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", percent(wallet))
    }

    pub(crate) fn get(&self, target: &str) -> Answer {
        self.send(get_with(target, "host: localhost"))
    }

    pub(crate) fn create_id(&self) -> String {
        let created = self.get(&self.create_target());
        created.json()["session_id"].as_str().unwrap_or_else(|| panic!("{created:?}")).to_owned()
    }

    pub(crate) fn lives(&self, id: &str) -> bool {
        self.get(&format!("/api/rke/session/{id}")).status == 200
    }

    /// Sends bytes on a new connection. Returns the response, of which there must be exactly one.
    pub(crate) fn send(&self, bytes: impl AsRef<[u8]>) -> Answer {
        let text = self.send_raw(&bytes);
        let start = String::from_utf8_lossy(&bytes.as_ref()[..bytes.as_ref().len().min(100)]).into_owned();
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "one answer to {start:?}: {text:?}");
        Answer::parse(&text)
    }

    /// Sends bytes on a new connection. Returns everything until the daemon closes it.
    pub(crate) fn send_raw(&self, bytes: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        // A daemon that has responded may close the connection before everything is sent.
        let _ = stream.write_all(bytes.as_ref());
        read_to_end(&mut stream)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("connected");
        stream.set_read_timeout(Some(2 * PATIENCE)).expect("a timeout");
        stream
    }

    /// The id of the process.
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// The exit status of the process, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().expect("a status")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
    }

    /// Makes the daemon reload its configuration. Returns what it has logged about that. Settings that require a
    /// restart are named in later lines.
    pub(crate) fn reload(&self) -> String {
        let before = self.log().len();
        self.signal(Signal::HUP);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.log()[before..].to_owned();
            if log.contains("the configuration ") {
                return log;
            }
            assert!(Instant::now() < deadline, "nothing is logged about the reload");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Changes settings that the command line does not give.
    pub(crate) fn configure(&self, settings: &str) {
        std::fs::write(self.dir.path().join("rke.toml"), settings).expect("written");
        let log = self.reload();
        assert!(log.contains("the configuration was read again"), "{log}");
    }

    pub(crate) fn terminate(&mut self) {
        self.signal(Signal::TERM);
        let deadline = Instant::now() + PATIENCE;
        while self.ended().is_none() {
            assert!(Instant::now() < deadline, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

struct Running {
    child: Child,
    log: Arc<Mutex<String>>,
    address: SocketAddr,
}

fn launch(
    dir: &tempfile::TempDir,
    network: &LocalNetwork,
    flags: &[&str],
    files: Files,
    authorities: Option<&Path>,
) -> Running {
    let dns = network.dns_address().to_string();
    let mut command = match files {
        Files::AsMany => Command::new(env!("CARGO_BIN_EXE_rke")),
        Files::AtMost(most) => {
            let mut shell = Command::new("sh");
            let script = format!("ulimit -n {most}; exec \"$0\" \"$@\"");
            shell.args(["-c", &script, env!("CARGO_BIN_EXE_rke")]);
            shell
        }
    };
    command.arg("serve").arg("--data-dir").arg(dir.path().join("daemon")).args(flags);
    let config = dir.path().join("rke.toml");
    std::fs::OpenOptions::new().append(true).create(true).open(&config).expect("a configuration");
    let usual = [
        ("--listen", "127.0.0.1:0"),
        ("--exchange-timeout", "60"),
        ("--confirm-timeout", "60"),
        ("--log-format", "json"),
        ("--dns-server", dns.as_str()),
        ("--config", config.to_str().expect("UTF-8")),
    ];
    for (flag, value) in usual {
        if !flags.contains(&flag) {
            command.args([flag, value]);
        }
    }
    command.envs(authorities.map(|file| ("SSL_CERT_FILE", file)));
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("rke runs");
    let log = Arc::new(Mutex::new(String::new()));
    let mut lines = BufReader::new(child.stderr.take().expect("a log"));
    let address = loop {
        let mut line = String::new();
        assert_ne!(lines.read_line(&mut line).expect("a line"), 0, "rke serve ended: {log:?}");
        log.lock().expect("unpoisoned").push_str(&line);
        if line.contains("listening") {
            let words = line.split(['"', '=', ' ']);
            break words.filter_map(|word| word.trim().parse().ok()).next().expect("an address");
        }
    };
    let rest = Arc::clone(&log);
    std::thread::spawn(move || {
        for line in lines.lines().map_while(Result::ok) {
            *rest.lock().expect("unpoisoned") += &(line + "\n");
        }
    });
    Running { child, log, address }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// A GET request with these header lines. The connection closes after it.
pub(crate) fn get_with(target: &str, headers: &str) -> String {
    request_with("GET", target, headers)
}

pub(crate) fn request_with(method: &str, target: &str, headers: &str) -> String {
    let headers: String = headers.lines().map(|line| format!("{}\r\n", line.trim())).collect();
    format!("{method} {target} HTTP/1.1\r\n{headers}connection: close\r\n\r\n")
}
