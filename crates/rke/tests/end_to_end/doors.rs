//! The entrances that an operator can open: other names and origins, a token, a unix socket, TLS with client
//! certificates. And what the daemon refuses to open.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use crate::everywhere::until;
use crate::real::{Real, get_with, request_with};
use crate::support::{Answer, DOMAIN};

fn rke(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_rke")).args(arguments).output().expect("rke runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn listed_names_and_origins_are_let_in() {
    let flags = ["--allow-host", "Rke.Example", "--allow-host", "192.168.1.5", "--allow-null-origin"];
    let more = ["--no-loopback-origins", "--allow-origin", "http://localhost:3000"];
    let real = Real::start(&[&flags[..], &more[..]].concat()).await;
    for (host, status) in
        [("rke.example:8080", 200), ("RKE.example.", 200), ("192.168.1.5", 200), ("x.rke.example", 421)]
    {
        let headers = format!("host: {host}\nx-rke-request: 1");
        assert_eq!(real.send(get_with("/api/rke/status", &headers)).status, status, "{host}");
    }
    for (origin, status) in [
        ("null", 200),
        ("http://localhost:3000", 200),
        ("http://localhost:3001", 403),
        ("http://127.0.0.1:3000", 403),
        ("http://localhost:8080", 200),
        ("https://localhost:8080", 403),
    ] {
        let headers = format!("host: localhost:8080\norigin: {origin}");
        let answer = real.send(get_with("/api/rke/status", &headers));
        let echoed = (status == 200).then_some(origin);
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (status, echoed),
            "{origin}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_token_nothing_is_answered_without_it() {
    let mut real = Real::start(&["--require-token"]).await;
    let file = real.data_dir().join("token");
    let token = std::fs::read_to_string(&file).expect("a token");
    assert_eq!(std::fs::metadata(&file).expect("metadata").permissions().mode() & 0o777, 0o600);
    let status = |authorization: &str| {
        real.send(get_with("/api/rke/status", &format!("host: localhost\n{authorization}")))
    };
    let right = format!("authorization: Bearer {}", token.trim());
    assert_eq!(status(&right).status, 200);
    for wrong in [
        "x: 1",
        "authorization: Bearer 00",
        "authorization: Basic eA==",
        &format!("{right}0"),
        &format!("{right}\n{right}"),
    ] {
        let answer = status(wrong);
        assert_eq!((answer.status, answer.json()["code"].as_u64()), (401, Some(401)), "{wrong}");
        assert_eq!(answer.header("www-authenticate"), Some("bearer realm=\"rke\""), "{wrong}");
        assert!(answer.body.contains("--token-file"), "{answer:?}");
    }
    for (method, target) in
        [("HEAD", "/api/rke/session/delete?session_id=x"), ("GET", "/api/rke/nothing"), ("GET", "/nothing")]
    {
        assert_eq!(real.send(request_with(method, target, "host: localhost")).status, 401, "{target}");
    }
    let daemon = real.address.to_string();
    let without = rke(&["status", "--daemon", &daemon]);
    assert!(without.status.code() == Some(1) && text(&without.stderr).contains("--token-file"));
    let with = rke(&["status", "--daemon", &daemon, "--token-file", utf8(&file)]);
    assert!(with.status.success(), "{}", text(&with.stderr));
    let missing = rke(&["status", "--daemon", &daemon, "--token-file", "/nowhere"]);
    assert!(missing.status.code() == Some(1) && text(&missing.stderr).contains("/nowhere"));
    real.terminate();
    assert!(!file.exists(), "the token ends with the daemon");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_token_opens_all_daemons_that_have_its_file_and_outlives_them() {
    let (dir, wallets) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let file = dir.path().join("token");
    let token = "0123456789abcdef".repeat(4);
    std::fs::write(&file, &token).expect("written");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("a mode");
    for _ in ["one", "another"] {
        // The sandbox of a daemon that knows where wallets are lets it read little else.
        let root = utf8(wallets.path());
        let mut real = Real::start(&["--shared-token", utf8(&file), "--wallet-root", root]).await;
        let status = |header: &str| {
            real.send(get_with("/api/rke/status", &format!("host: localhost\n{header}"))).status
        };
        assert_eq!(status(&format!("authorization: Bearer {token}")), 200);
        assert_eq!(status(&format!("authorization: Bearer {}", "0".repeat(64))), 401);
        assert!(!real.data_dir().join("token").exists(), "it has none of its own");
        real.terminate();
    }
    assert_eq!(std::fs::read_to_string(&file).expect("a token"), token);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_lets_its_own_user_in_beside_tcp() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rke.sock");
    let mut real = Real::start(&["--unix-socket", utf8(&path)]).await;
    let metadata = std::fs::symlink_metadata(&path).expect("metadata");
    assert_eq!(metadata.mode() & 0o777, 0o600);
    let id = real.create_id();
    let ask = |host: &str| {
        let mut stream = UnixStream::connect(&path).expect("connected");
        let request = get_with(&format!("/api/rke/session/{id}"), host);
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        Answer::parse(&answer).status
    };
    // The file's mode guards the socket, and no browser can reach it, so the Host header does not matter.
    for host in ["host: localhost", "host: evil.example", "host:", "host: /run/rke.sock", "x: 1"] {
        assert_eq!(ask(host), 200, "{host}");
    }
    assert_eq!(ask("host: localhost\norigin: http://evil.example"), 403, "the gate is there too");
    let socket = format!("unix:{}", utf8(&path));
    let listed = rke(&["session", "list", "--daemon", &socket]);
    assert!(text(&listed.stdout).contains(&id), "{}", text(&listed.stderr));
    let curl = ["-s", "--unix-socket", utf8(&path), "http://localhost/api/rke/status"];
    let answered = Command::new("curl").args(curl).output().expect("curl runs");
    assert!(text(&answered.stdout).contains("rke_status"));
    let other = tempfile::tempdir().expect("a folder");
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data-dir", utf8(other.path()), "--unix-socket"];
    let second = rke(&[&arguments[..], &[utf8(&path)]].concat());
    assert!(second.status.code() == Some(1) && text(&second.stderr).contains("--unix-socket"));
    real.terminate();
    assert!(!path.exists(), "the socket goes with the daemon");
    let dead = std::os::unix::net::UnixListener::bind(&path).expect("a socket");
    drop(dead);
    let real = Real::start(&["--unix-socket", utf8(&path)]).await;
    assert_eq!(real.get("/api/rke/status").status, 200, "it takes the place of a dead socket");
}

#[tokio::test(flavor = "multi_thread")]
async fn localhost_is_both_loopback_addresses_and_listen_may_be_given_again() {
    let real = Real::start(&["--listen", "localhost:0", "--listen", "127.9.9.9:0"]).await;
    until("it listens at three addresses", || listening(&real.log()).len() == 3);
    let (addresses, port) = (listening(&real.log()), real.port());
    assert_eq!(
        addresses[..2],
        [SocketAddr::from(([127, 0, 0, 1], port)), (Ipv6Addr::LOCALHOST, port).into()]
    );
    for address in addresses {
        let url = format!("http://{address}/api/rke/status");
        let answered = Command::new("curl").args(["-s", &url]).output().expect("curl runs");
        assert!(text(&answered.stdout).contains("rke_status"), "{address}");
    }
    // Another program occupies one of the two addresses.
    for host in ["127.0.0.1", "[::1]"] {
        let taken = TcpListener::bind(format!("{host}:0")).expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let dir = tempfile::tempdir().expect("a folder");
        let listen = format!("localhost:{port}");
        let failed = rke(&["serve", "--data-dir", utf8(dir.path()), "--listen", &listen]);
        let said = text(&failed.stderr);
        assert!(failed.status.code() == Some(1) && said.contains(&format!("{host}:{port}")), "{said}");
    }
    let wrong = rke(&["serve", "--listen", "localhost"]);
    assert!(text(&wrong.stderr).contains("localhost:8080"), "{}", text(&wrong.stderr));
}

/// A machine whose kernel has no IPv6.
#[tokio::test(flavor = "multi_thread")]
async fn without_ipv6_the_first_address_is_enough() {
    let dir = tempfile::tempdir().expect("a folder");
    let script = "ip link set lo up && sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && \
                  { \"$0\" serve --listen localhost:8080 --data-dir \"$1\" --log info & } && \
                  curl -s --retry 50 --retry-delay 0 --retry-connrefused http://127.0.0.1:8080/api/rke/status; kill $!; wait";
    let arguments = ["--net", "sh", "-c", script, env!("CARGO_BIN_EXE_rke"), utf8(dir.path())];
    let output = Command::new("unshare").args(arguments).env("RKE_DNS_SERVER", "127.0.0.1:53").output();
    let output = output.expect("unshare runs");
    assert!(text(&output.stdout).contains("rke_status"), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr).matches("listening").count(), 1, "{}", text(&output.stderr));
}

/// The addresses that a daemon's log reports as listening.
fn listening(log: &str) -> Vec<SocketAddr> {
    let lines = log.lines().filter(|line| line.contains("listening"));
    lines.filter_map(|line| line.split(['"', '=', ' ']).find_map(|word| word.trim().parse().ok())).collect()
}

/// The response over a unix socket to another user, with these options of `setpriv`.
fn asked_as(socket: &Path, user: &str, groups: &[&str]) -> String {
    let curl =
        ["curl", "-s", "--max-time", "60", "--unix-socket", utf8(socket), "http://localhost/api/rke/status"];
    let output = Command::new("setpriv").args(["--reuid", user]).args(groups).args(curl).output();
    text(&output.expect("setpriv runs").stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_members_of_a_group_may_use_the_unix_socket_and_others_may_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rke.sock");
    let real = Real::start(&["--unix-socket", utf8(&path), "--unix-socket-group", "nogroup"]).await;
    let metadata = std::fs::symlink_metadata(&path).expect("metadata");
    assert_eq!((metadata.mode() & 0o777, metadata.gid()), (0o660, 65534));
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("a mode");
    let ask = |user: &str, groups: &[&str]| asked_as(&path, user, groups);
    assert!(ask("1234", &["--regid", "65534", "--clear-groups"]).contains("rke_status"));
    assert!(ask("1234", &["--regid", "1234", "--groups", "1234,65534"]).contains("rke_status"));
    assert_eq!(ask("1234", &["--regid", "1234", "--clear-groups"]), "");
    drop(real);
    for (flags, said) in [
        (&["--unix-socket-group", "nogroup"][..], "--unix-socket"),
        (&["--unix-socket", "/x", "--unix-socket-group", "no-such-group"], "no-such-group"),
    ] {
        let failed = rke(&[&["serve"], flags].concat());
        assert!(failed.status.code() == Some(2) && text(&failed.stderr).contains(said), "{failed:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_user_is_refused_at_the_unix_socket() {
    if !rustix::process::getuid().is_root() {
        eprintln!("only root can become another user: here, the rule's own test has to do");
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rke.sock");
    let _real = Real::start(&["--unix-socket", utf8(&path)]).await;
    // File modes would keep the other user out as well. With open modes, only the kernel's report of the user can.
    for (path, mode) in [(dir.path(), 0o755), (path.as_path(), 0o666)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
    }
    let ask = |user: &str| asked_as(&path, user, &["--regid", user, "--clear-groups"]);
    assert_eq!(ask("65534"), "");
    assert!(ask("0").contains("rke_status"));
}

/// Creates an authority's certificates for a server on 127.0.0.1 and for a client, as PEM files.
pub(crate) fn certificates(dir: &Path, name: &str) {
    let key = || KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.distinguished_name.push(DnType::CommonName, format!("{name} authority"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, key()).expect("an authority");
    let write = |what: &str, text: String| {
        std::fs::write(dir.join(format!("{name}-{what}.pem")), text).expect("written")
    };
    write("ca", authority.pem());
    for (what, names) in
        [("server", vec!["127.0.0.1".into(), "localhost".into()]), ("client", vec!["client".into()])]
    {
        let key = key();
        let certificate = CertificateParams::new(names).expect("parameters").signed_by(&key, &authority);
        write(what, certificate.expect("a certificate").pem());
        write(&format!("{what}-key"), key.serialize_pem());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_client_certificates_only_their_holders_are_answered() {
    let dir = tempfile::tempdir().expect("a folder");
    certificates(dir.path(), "our");
    certificates(dir.path(), "their");
    let file = |name: &str| utf8(&dir.path().join(name)).to_owned();
    let [certificate, key, authority] = ["our-server.pem", "our-server-key.pem", "our-ca.pem"].map(file);
    let tls = ["--tls-cert", &certificate, "--tls-key", &key, "--tls-client-ca", &authority];
    let mutual = [&tls[..], &["--listen", "0.0.0.0:0"]].concat();
    let real = Real::start(&mutual).await;
    let curl = |more: &[&str]| {
        let url = format!("https://127.0.0.1:{}/api/rke/status", real.port());
        let output = Command::new("curl")
            .args(["-s", "--max-time", "60", "--cacert", &file("our-ca.pem"), &url])
            .args(more)
            .output();
        text(&output.expect("curl runs").stdout)
    };
    let client = |whose: &str| {
        [
            "--cert".to_owned(),
            file(&format!("{whose}-client.pem")),
            "--key".to_owned(),
            file(&format!("{whose}-client-key.pem")),
        ]
    };
    let (our, their) = (client("our"), client("their"));
    let our: Vec<&str> = our.iter().map(String::as_str).collect();
    let their: Vec<&str> = their.iter().map(String::as_str).collect();
    assert!(curl(&our).contains("rke_status"));
    assert!(curl(&[&our[..], &["-H", "Host: evil.example"]].concat()).contains("--allow-host"));
    let own = format!("Origin: https://127.0.0.1:{}", real.port());
    assert!(curl(&[&our[..], &["-H", &own]].concat()).contains("rke_status"));
    assert_eq!((curl(&their), curl(&[])), (String::new(), String::new()));
    assert!(!real.send_raw(get_with("/api/rke/status", "host: localhost")).contains("HTTP"), "no plain text");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_open_the_daemon_up_is_refused_by_a_reload() {
    let dir = tempfile::tempdir().expect("a folder");
    certificates(dir.path(), "our");
    let file = |name: &str| utf8(&dir.path().join(name)).to_owned();
    let config = dir.path().join("rke.toml");
    let tls =
        format!("tls-cert = '{}'\ntls-key = '{}'\n", file("our-server.pem"), file("our-server-key.pem"));
    let authority = format!("{tls}tls-client-ca = '{}'\n", file("our-ca.pem"));
    std::fs::write(&config, &authority).expect("written");
    let real = Real::start(&["--config", utf8(&config), "--listen", "0.0.0.0:0"]).await;
    std::fs::write(&config, &tls).expect("written");
    let log = real.reload();
    assert!(log.contains("is not changed") && log.contains("--tls-client-ca"), "{log}");
    std::fs::write(&config, &authority).expect("written");
    let log = real.reload();
    assert!(log.contains("was read again") && !log.contains("restart to apply"), "{log}");
}

#[test]
fn what_would_open_the_daemon_up_is_refused_at_the_start() {
    let dir = tempfile::tempdir().expect("a folder");
    certificates(dir.path(), "our");
    let file = |name: &str| utf8(&dir.path().join(name)).to_owned();
    let tls = ["--tls-cert", &file("our-server.pem"), "--tls-key", &file("our-server-key.pem")];
    let data_dir = file("data");
    for (arguments, named) in [
        (&["--listen", "0.0.0.0:0"][..], "--require-token"),
        (&["--listen", "[::]:0"], "--tls-client-ca"),
        (&[&["--listen", "0.0.0.0:0"], &tls[..]].concat(), "--tls-client-ca"),
        (&["--allow-host", "http://a.test"], "--allow-host"),
        (&["--allow-host", "a.test:80"], "--allow-host"),
        (&["--allow-origin", "*"], "--allow-origin"),
        (&["--allow-origin", "https://a.test/"], "--allow-origin"),
        (&["--allow-origin", "null"], "--allow-null-origin"),
        (&["--wallet-root", "/nowhere"], "--wallet-root"),
        (&["--unix-socket", "/nowhere/x"], "--unix-socket"),
        (&["--unix-socket", "/dev/null"], "--unix-socket"),
        (&["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "--tls-cert"),
        (
            &["--tls-cert", &file("our-server.pem"), "--tls-key", &file("our-client-key.pem")],
            "belong together",
        ),
        (&["--tls-cert", &file("our-server.pem"), "--tls-key", &file("our-server.pem")], "--tls-key"),
        (&[&tls[..], &["--tls-client-ca", &file("our-server-key.pem")]].concat(), "--tls-client-ca"),
    ] {
        let mut all = vec!["serve", "--data-dir", &data_dir];
        if !arguments.contains(&"--listen") {
            all.extend(["--listen", "127.0.0.1:0"]);
        }
        let output = rke(&[&all, arguments].concat());
        let error = text(&output.stderr);
        assert!(output.status.code() == Some(1) && error.contains(named), "{arguments:?}: {error}");
    }
}

#[test]
fn dev_takes_a_token_too() {
    let ports =
        ["--listen", "127.0.0.1:0", "--raida-port", "0", "--dns-port", "0", "--content-server-port", "0"];
    let output = rke(&[&["dev", "--once", "--require-token"], &ports[..]].concat());
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    assert!(text(&output.stdout).contains(DOMAIN));
}
