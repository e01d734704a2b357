//! The program itself: `dev`, `serve`, and the commands that ask a daemon.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::dev::Dev;
use crate::support::{DOMAIN, Stage};

fn rke(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(arguments: &[&str]) -> Output {
    rke(arguments).output().expect("rke runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("a signal");
}

/// Starts `rke serve` and waits until it listens; gives the log so far as well.
fn serve(data_dir: &Path, more: &[&str]) -> (Child, String) {
    let data_dir = data_dir.to_str().expect("UTF-8");
    let mut child = rke(&[&["serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir], more].concat())
        .spawn()
        .expect("rke runs");
    let mut log = String::new();
    let mut lines = BufReader::new(child.stderr.as_mut().expect("a log"));
    while !log.contains("listening") {
        assert_ne!(lines.read_line(&mut log).expect("a line"), 0, "serve ended: {log}");
    }
    (child, log)
}

/// A tour beside other tests, which have Content Servers of their own.
const ONCE: [&str; 4] = ["dev", "--once", "--content-server-port", "0"];

#[test]
fn dev_makes_the_tour_by_itself() {
    let output =
        run(&[&ONCE[..], &["--listen", "127.0.0.1:0", "--raida-port", "0", "--dns-port", "0"]].concat());
    let printed = text(&output.stdout);
    assert!(output.status.success(), "{printed}{}", text(&output.stderr));
    for step in ["discover", "create", "encrypt", "decrypt", "list", "delete", "use after delete"] {
        assert!(printed.contains(&format!("== {step}\nGET /api/rke/")), "{step}: {printed}");
    }
}

#[test]
fn the_lines_that_dev_prints_work_when_they_are_pasted() {
    for more in [&[][..], &["--require-token"]] {
        let dev = Dev::start_with(&[&["--listen", "127.0.0.1:0"], more].concat());
        let output = Command::new("sh").args(["-c", &dev.to_try.join("\n")]).output().expect("sh runs");
        let printed = text(&output.stdout);
        assert!(!printed.contains("\"error\""), "{printed}");
        for part in [
            "rke_discover",
            "rke_encrypt",
            "\"plaintext\":\"SGVsbG8gV29ybGQh\"",
            "hello\n",
            "rke_session_delete",
        ] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
    }
}

#[test]
fn a_busy_port_is_named_with_its_flag() {
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
    let (tcp_port, udp_port) = (
        tcp.local_addr().expect("address").port().to_string(),
        udp.local_addr().expect("address").port().to_string(),
    );
    let listen = format!("127.0.0.1:{tcp_port}");
    let free = "127.0.0.1:0";
    for (arguments, port, flag) in [
        ([listen.as_str(), "0", "0"], &tcp_port, "--listen"),
        ([free, &udp_port, "0"], &udp_port, "--raida-port"),
        ([free, "0", &tcp_port], &tcp_port, "--dns-port"),
    ] {
        let [listen, raida, dns] = arguments;
        let ports = ["--listen", listen, "--raida-port", raida, "--dns-port", dns];
        let output = run(&[&ONCE[..], &ports].concat());
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains(port.as_str()) && error.contains(flag), "{flag}: {error}");
        assert_eq!(error.matches("in use").count(), 1, "the cause is said once: {error}");
    }
    let output = run(&[
        &ONCE[..2],
        &["--listen", free, "--raida-port", "0", "--dns-port", "0", "--content-server-port", &tcp_port],
    ]
    .concat());
    let error = text(&output.stderr);
    assert!(error.contains("--content-server-port") && !error.contains("--listen"), "{error}");
    assert_eq!(error.matches("in use").count(), 1, "the cause is said once: {error}");
}

#[test]
fn serve_stops_within_a_second_of_a_signal() {
    for kind in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut child, _) = serve(dir.path(), &[]);
        let asked = Instant::now();
        signal(&child, kind);
        let status = child.wait().expect("an exit status");
        assert!(status.success() && asked.elapsed() < Duration::from_secs(1), "{kind:?}: {status}");
    }
}

#[test]
fn serve_recovers_from_being_killed() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut child, _) = serve(dir.path(), &[]);
    child.kill().expect("killed");
    child.wait().expect("an exit status");
    let (mut child, log) = serve(dir.path(), &["--log-format", "json"]);
    assert!(log.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()), "{log}");
    let second =
        run(&["serve", "--listen", "127.0.0.1:0", "--data-dir", dir.path().to_str().expect("UTF-8")]);
    assert!(second.status.code() == Some(1) && text(&second.stderr).contains("in use by another process"));
    child.kill().expect("killed");
    child.wait().expect("an exit status");
}

#[test]
fn the_program_says_its_name_and_version() {
    let output = run(&["--version"]);
    assert_eq!(text(&output.stdout), concat!("rke ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn wrong_settings_are_refused_with_their_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("rke.toml");
    std::fs::write(&file, "max-sesions = 3").expect("written");
    let config = file.to_str().expect("UTF-8");
    for (arguments, name, code) in [
        (&["--config", config][..], "max-sesions", 2),
        (&["--config", "/nowhere"], "/nowhere", 2),
        (&["--session-ttl", "0"], "--session-ttl", 2),
        (&["--allow-weak-shares", "no domain"], "--allow-weak-shares", 2),
        (&["--raida-directory", "/nowhere"], "/nowhere", 1),
        (&["--log", "=="], "--log", 2),
        (&["--tls-cert", "/x"], "--tls-key", 2),
    ] {
        let output =
            run(&[&["serve", "--listen", "127.0.0.1:0", "--data-dir", "/nonexistent/x"], arguments].concat());
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(code) && error.contains(name), "{arguments:?}: {error}");
    }
    for (arguments, expected) in [
        (
            ["serve", "--listen", "here:18091"],
            "an IP address or localhost with a port is wanted, as in 127.0.0.1:8080",
        ),
        (["serve", "--max-sessions", "0"], "from 1 to 16000000"),
        (["serve", "--max-sessions", "99999999999"], "from 1 to 16000000"),
        (["serve", "--max-sessions", "18446744073709551615"], "from 1 to 16000000"),
        (["content-server", "preload", "--domain=b d"], "not a domain name"),
        (["content-server", "preload", "--host=b d"], "not a domain name"),
        (["session", "delete", "--forget"], "Usage: rke session delete --forget <ID|--all>"),
    ] {
        let output = run(&arguments);
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(2) && error.contains(expected), "{arguments:?}: {error}");
    }
    std::fs::write(&file, "max-sessions = 99999999999").expect("written");
    let output = run(&["serve", "--config", config]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("from 1 to 16000000"));
    assert_eq!(run(&["raida", "--index", "25"]).status.code(), Some(2));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_does_what_the_api_does() {
    let stage = Stage::new().await;
    let daemon = stage.daemon.address().to_string();
    let wallet = stage.network.wallet().to_str().expect("UTF-8").to_owned();
    tokio::task::spawn_blocking(move || drive(&daemon, &wallet)).await.expect("no panic");
    stage.stop().await;
}

fn drive(daemon: &str, wallet: &str) {
    let ask = |arguments: &[&str]| {
        let output = run(&[arguments, &["--daemon", daemon]].concat());
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, printed, _) = ask(&["session", "create", DOMAIN, "--wallet", wallet]);
    assert_eq!(code, Some(0));
    let id = printed.trim();
    assert_eq!(id.len(), 32, "only the id goes to standard output: {printed}");
    assert!(ask(&["session", "list"]).1.contains(id));
    assert!(ask(&["session", "show", id]).1.contains("key bits"));
    assert!(ask(&["session", "list", "--json"]).1.starts_with(r#"{"command":"rke_sessions""#));
    assert!(ask(&["discover", DOMAIN]).1.contains("CONTENT-SERVER01"));
    assert!(ask(&["status"]).1.contains("Sessions: 1 of at most 16."));
    let secret: Vec<u8> =
        (0..100_000_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    let encrypted = pipe(&["encrypt", id, "--lines", "--daemon", daemon], &secret);
    assert!(
        encrypted.status.success() && encrypted.stdout.iter().filter(|byte| **byte == b'\n').count() == 5
    );
    let decrypted = pipe(&["decrypt", id, "--lines", "--daemon", daemon], &encrypted.stdout);
    assert!(decrypted.status.success() && decrypted.stdout == secret);
    assert_eq!(pipe(&["encrypt", id, "--lines", "--daemon", daemon], b"").status.code(), Some(1));
    assert_eq!(ask(&["session", "delete", id]).0, Some(0));
    let (code, _, error) = ask(&["session", "delete", id]);
    assert!(code == Some(1) && error.contains("Session not found"), "{error}");
    assert_eq!(ask(&["session", "create", DOMAIN, "--wallet", "/nowhere"]).0, Some(1));
    ask(&["session", "create", DOMAIN, "--wallet", wallet]);
    ask(&["session", "create", DOMAIN, "--wallet", wallet]);
    assert!(ask(&["session", "delete", "--all"]).1.contains("2 sessions ended"));
    assert!(ask(&["session", "list"]).1.contains("No sessions."));
    assert_eq!(run(&["session", "delete", "--daemon", daemon]).status.code(), Some(2));
    let gone = run(&["status", "--daemon", "127.0.0.1:1"]);
    assert!(gone.status.code() == Some(3) && text(&gone.stderr).contains("rke serve"));
}

fn pipe(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = rke(arguments).stdin(Stdio::piped()).spawn().expect("rke runs");
    let mut stdin = child.stdin.take().expect("standard input");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("rke ends");
    writer.join().expect("written");
    output
}
