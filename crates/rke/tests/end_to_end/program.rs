//! The program itself: `dev`, `serve`, and the commands that talk to a daemon.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::dev::Dev;
use crate::support::{DOMAIN, Stage, again_blocking};

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

/// Starts `rke serve` and waits until it listens. Also returns the log so far.
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

/// A tour that runs next to other tests, whose Content Servers may use the usual port.
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
        // The next step of README.md, in the same shell.
        let connect = format!("echo again | {} connect $SESSION_ID", env!("CARGO_BIN_EXE_rke"));
        let mut shell = Command::new("sh");
        shell.env_remove("RKE_DAEMON").env_remove("RKE_TOKEN_FILE");
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("sh runs");
        let pasted = format!("{}\n{connect}\n", dev.to_try.join("\n"));
        shell.stdin.take().expect("an input").write_all(pasted.as_bytes()).expect("pasted");
        let printed = text(&shell.wait_with_output().expect("sh ends").stdout);
        assert!(!printed.contains("\"error\""), "{printed}");
        for part in [
            "rke_discover",
            "\"command\":\"rke_sessions\",\"success\":true,\"total\":1",
            "\"key_bits\":256",
            "rke_encrypt",
            "\"command\":\"rke_decrypt\",\"success\":true,\"plaintext\":\"SGVsbG8gV29ybGQh\"",
            "\"command\":\"rke_seal\"",
            "\"command\":\"rke_open\",\"success\":true,\"plaintext\":\"SGVsbG8gV29ybGQh\"",
            "hello\n",
            "rke_session_renew",
            "rke_keys",
            "rke_raidas",
            "rke_status",
            "again\n",
        ] {
            assert!(printed.contains(part), "{part}: {printed}");
        }
        // The first sets variables.
        let lines = dev.to_try.len() - 1;
        assert_eq!(printed.lines().count(), lines + 1, "each other line prints one: {printed}");
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
        // A busy machine is not always as fast.
        again_blocking(|| {
            let dir = tempfile::tempdir().expect("a folder");
            let (mut child, _) = serve(dir.path(), &[]);
            let asked = Instant::now();
            signal(&child, kind);
            let (status, took) = (child.wait().expect("an exit status"), asked.elapsed());
            assert!(status.success(), "{kind:?}: {status}");
            if took < Duration::from_secs(1) { Ok(()) } else { Err(format!("{kind:?}: {took:?}")) }
        });
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
fn the_program_says_what_it_speaks() {
    let shown = text(&run(&["version"]).stdout);
    let first = concat!("rke ", env!("CARGO_PKG_VERSION"), "\n");
    assert!(
        shown.starts_with(first) && shown.contains("handshake 3") && shown.contains("build  "),
        "{shown}"
    );
    let json: serde_json::Value = serde_json::from_slice(&run(&["version", "--json"]).stdout).expect("JSON");
    assert_eq!(
        (&json["command"], &json["version"]),
        (&"rke_version".into(), &env!("CARGO_PKG_VERSION").into())
    );
    assert_eq!(json["platform"], format!("{}-linux", std::env::consts::ARCH));
}

#[test]
fn serve_says_where_the_console_is_and_the_token_lies() {
    for more in [&[][..], &["--require-token"]] {
        let dir = tempfile::tempdir().expect("a folder");
        let data_dir = dir.path().to_str().expect("UTF-8");
        let arguments = [&["serve", "--listen", "127.0.0.1:0", "--data-dir", data_dir], more].concat();
        let mut child = rke(&arguments).spawn().expect("rke runs");
        let mut lines = BufReader::new(child.stderr.take().expect("a log")).lines().map_while(Result::ok);
        let listening = lines.find(|line| line.contains("listening")).expect("it listens");
        let line = lines.find(|line| line.contains("the console is at this URL")).expect("a line");
        child.kill().expect("killed");
        child.wait().expect("an exit status");
        let port = listening.rsplit("127.0.0.1:").next().expect("a port").trim();
        assert!(line.contains(&format!("http://127.0.0.1:{port}/")), "{line}");
        let token = dir.path().join("token");
        assert_eq!(line.contains(token.to_str().expect("UTF-8")), !more.is_empty(), "{line}");
    }
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
            "it must be an IP address or localhost with a port, such as 127.0.0.1:8080",
        ),
        (["serve", "--max-sessions", "0"], "from 1 to 16000000"),
        (["serve", "--max-sessions", "99999999999"], "from 1 to 16000000"),
        (["serve", "--max-sessions", "18446744073709551615"], "from 1 to 16000000"),
        (["content-server", "preload", "--domain=b d"], "not a domain name"),
        (["content-server", "preload", "--host=b d"], "not a domain name"),
        (["content-server", "preload", "--host=192.0.2.7"], "an SRV record names a host, not an address"),
        (["content-server", "preload", "--host=[2001:db8::7]"], "an SRV record names a host, not an address"),
        (
            ["content-server", "preload", "--host=_rke._udp.cs.test"],
            "in front of domains by itself; write cs.test",
        ),
        (["content-server", "rotate", "--port=0"], "0 is not in 1..=65535"),
        (["content-server", "rotate", "--ttl=2147483648"], "2147483648 is not in 0..=2147483647"),
        (
            ["content-server", "rotate", "--domain=_rke._udp.a.test"],
            "in front of domains by itself; write a.test",
        ),
        (["content-server", "serve", "--domain=b.test,_rke._udp.a.test"], "; write a.test"),
        (["session", "create", "_rke._udp.a.test"], "; write a.test"),
        (["keys", "forget", "_rke._udp.a.test"], "; write a.test"),
        (["trust", "remove", "_rke._udp.a.test"], "; write a.test"),
        (["serve", "--pin", "_rke._udp.a.test=SHOP"], "; write a.test"),
        (["serve", "--allow-weak-shares", "_rke._udp.a.test"], "; write a.test"),
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
