//! Content Servers that are down, replaced by something else, restarted or full, and wallets without the coins of the
//! earlier exchange. The tests check how useful the cache is in these cases.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use http_body_util::BodyExt;
use rke_daemon::Daemon;
use rke_engine::settings::Confirm;
use rke_host::framing::read_first;
use rke_proto::handshake::{Reason, Response};
use rke_raida::content_server::{Application, ServerConfig};
use rke_raida::dns::DnsServer;
use rke_raida::network::LocalNetwork;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::faults::{is_late_at_most, with_other_ans};
use crate::records::{Detour, serve_records};
use crate::support::{DOMAIN, PATIENCE, Stage, config, get, network};
use crate::tunnel::arguments;
use crate::wire::{finish, pieces, post, send};

/// A daemon whose DNS names another port for the Content Server.
async fn at_port(port: u16, confirm: Confirm, confirm_timeout: Duration) -> Detour {
    let elsewhere = async |network: &LocalNetwork, _: &tempfile::TempDir| {
        let mut records = network.records().clone();
        records.port = port;
        records
    };
    let change = |config: &mut rke_engine::settings::Config| {
        config.reloadable.confirm = confirm;
        config.reloadable.confirm_timeout = confirm_timeout;
    };
    Detour::new(elsewhere, change).await
}

/// Checks that no session opens, for this reason, and that nothing remains of the attempt.
async fn check_refused(detour: &Detour, port: u16, reason: &str) {
    let refused = detour.create().await;
    let message = format!("Cannot agree on a key with the Content Server at cs.{DOMAIN}:{port}: {reason}");
    let body = refused.json();
    assert_eq!((refused.status, &body["message"], &body["domain"]), (502, &json!(message), &json!(DOMAIN)));
    let status = detour.get("/api/rke/status").await.json();
    assert_eq!((&status["sessions"]["total"], &status["keystore"]["total"]), (&json!(0), &json!(0)));
    let raidas = detour.get("/api/rke/raidas").await.json();
    let rows = raidas["raidas"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["lies"] == 0 && is_late_at_most(&row["last_fault"])), "{raidas}");
}

/// A port at which connections are refused. It stays bound, so that nothing else gets it.
pub(crate) fn refusing_port() -> u16 {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let port = socket.local_addr().expect("an address").port();
    std::mem::forget(socket);
    port
}

/// A port that nothing uses, for TCP and UDP. It lies below the ports that the system hands out by itself, so no other
/// socket takes it before the test does, and no connection that has just closed still holds it.
pub(crate) fn free_port() -> u16 {
    const PORTS: Range<u16> = 10_000..24_000;
    static TRIED: AtomicU32 = AtomicU32::new(0);
    // Other processes of tests begin elsewhere.
    let begin = std::process::id().wrapping_mul(97);
    loop {
        let at =
            begin.wrapping_add(TRIED.fetch_add(1, Ordering::Relaxed)) % u32::from(PORTS.end - PORTS.start);
        let port = PORTS.start + at as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() && UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_set_is_looked_for_in_dns_again_within_the_same_request() {
    let dir = tempfile::tempdir().expect("a folder");
    let network = network(&dir).await;
    let retired = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a listener");
    let mut records = network.records().clone();
    records.port = retired.local_addr().expect("an address").port();
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let old = DnsServer::start(loopback, [&records], loopback.ip()).await.expect("a DNS server");
    let (dns, newer) = (old.address(), network.records().clone());
    let server = tokio::spawn(async move {
        let (mut stream, _) = retired.accept().await.expect("a client");
        read_first(&mut stream).await.expect("a packet").expect("a client");
        // The records change while the daemon still remembers the old ones for an hour.
        old.stop().await;
        let new = serve_records(dns, &newer).await;
        let refusal = Response::Refused(Reason::Retired).to_bytes();
        stream.write_all(&refusal).await.expect("sent");
        new
    });
    let daemon = Daemon::start(config(&dir, dns)).await.expect("a daemon");
    let create = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", network.wallet().display());
    let created = get(daemon.address(), &create).await;
    assert_eq!(created.status, 200, "{}", created.body);
    daemon.stop().await;
    server.await.expect("the first server").stop().await;
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_content_server_no_wide_session_opens_whatever_confirm_says() {
    for confirm in [Confirm::Require, Confirm::Try, Confirm::Off] {
        let port = refusing_port();
        let detour = at_port(port, confirm, PATIENCE).await;
        check_refused(&detour, port, "it refuses connections").await;
        detour.stop().await;
    }
}

/// A server that reads what arrives, sends `says` and hangs up. With `None`, it sends nothing and keeps the
/// connection open.
async fn something_else(says: Option<&'static [u8]>) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            match says {
                Some(says) => drop(stream.write_all(says).await),
                None => held.push(stream),
            }
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_at_the_content_servers_port_opens_no_session() {
    let http = "HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".as_bytes();
    let another = "the program there is not the Content Server, or is another version of it";
    let mut accepted = b"RKE3\x81\x04\x84".to_vec();
    accepted.resize(7 + 1156, 0x5A);
    for (says, reason) in [
        (Some(http), another),
        (Some(b"SSH-2.0-OpenSSH_9.9\r\n"), another),
        (Some(accepted.leak()), another),
        (Some(b"RKE3\x82\x00\x01\x06"), "it refused: "),
        (Some(b""), "the connection was closed before the response"),
        (None, "no response in time"),
    ] {
        let port = something_else(says).await;
        let timeout = if says.is_some() { PATIENCE } else { Duration::from_millis(700) };
        let detour = at_port(port, Confirm::Try, timeout).await;
        if reason.ends_with(' ') {
            let refused = detour.create().await;
            assert!(refused.status == 502 && refused.body.contains(reason), "{refused:?}");
        } else {
            check_refused(&detour, port, reason).await;
        }
        detour.stop().await;
    }
}

/// The data that comes back through a session's tunnel.
async fn echo(daemon: SocketAddr, session: &Value) -> Vec<u8> {
    let id = session["session_id"].as_str().expect("an id");
    post(daemon, &format!("session/{id}/tunnel"), &[], "to and fro").await.good()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_server_that_has_started_again_breaks_no_client() {
    let mut stage = Stage::new().await;
    let daemon = stage.daemon.address();
    let first = stage.create().await;
    assert_eq!(stage.create().await["from_cache"], true);
    for _ in 0..2 {
        stage.network.restart_content_server().await.expect("a Content Server");
        let next = stage.create().await;
        assert_eq!(next["from_cache"], false, "the resumption is gone, so the RAIDAs are asked: {next}");
        assert_eq!(echo(daemon, &next).await, b"to and fro");
        let cached = stage.create().await;
        assert_eq!(cached["from_cache"], true, "{cached}");
        assert_eq!(echo(daemon, &cached).await, b"to and fro");
        assert_eq!(stage.get("/api/rke/keys").await.json()["total"], 1, "the old resumption is replaced");
    }
    // Older sessions continue at this end, but their tunnels report what happened.
    let id = first["session_id"].as_str().expect("an id");
    let encrypted = stage.get(&format!("/api/rke/encrypt?session_id={id}&plaintext=AAAA")).await;
    assert_eq!(encrypted.status, 200);
    let refused = post(daemon, &format!("session/{id}/tunnel"), &[], "x").await.refusal(409);
    assert!(refused.contains("it has restarted") && refused.contains("open a new session"), "{refused}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_content_server_that_goes_away_leaves_what_the_cache_has() {
    let mut stage = Stage::new().await;
    stage.create().await;
    stage.network.stop_content_server().await;
    let refused = stage.get(&stage.create_target()).await;
    let port = stage.network.content_server_address().port();
    assert_eq!(refused.status, 502, "{refused:?}");
    let place = format!("cs.{DOMAIN}:{port}: it refuses connections");
    assert!(refused.json()["message"].as_str().is_some_and(|text| text.ends_with(&place)), "{refused:?}");
    assert_eq!(stage.get("/api/rke/keys").await.json()["total"], 1);
    stage.stop().await;
}

async fn create(stage: &Stage, wallet: &Path) -> Value {
    let target = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", wallet.display());
    let created = stage.get(&target).await;
    assert_eq!(created.status, 200, "{created:?}");
    created.json()
}

async fn coin(stage: &Stage, session: &Value) -> Value {
    let id = session["session_id"].as_str().expect("an id");
    stage.get(&format!("/api/rke/session/{id}")).await.json()["coin"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_without_the_coins_of_the_cached_exchange_makes_its_own() {
    let stage = Stage::new().await;
    let (own, other) = (stage.network.wallet().to_owned(), stage.network.other_wallet());
    let first = create(&stage, &own).await;
    let second = create(&stage, &other).await;
    assert_eq!((&first["from_cache"], &second["from_cache"]), (&json!(false), &json!(false)));
    let keys = stage.get("/api/rke/keys").await.json();
    let mut coins: Vec<String> =
        keys["keys"].as_array().expect("rows").iter().map(|row| row["coins"].to_string()).collect();
    coins.sort_unstable();
    assert_eq!(coins, [r#"["0:1001","0:1002"]"#, r#"["0:44"]"#], "{keys}");
    for (wallet, proven) in [(&own, "0:1001"), (&other, "0:44")] {
        let again = create(&stage, wallet).await;
        assert_eq!((&again["from_cache"], coin(&stage, &again).await), (&json!(true), json!(proven)));
    }
    // For this, the daemon only reads the ids of the coins, not their ANs.
    let renamed = with_other_ans(&own);
    assert_eq!(create(&stage, renamed.path()).await["from_cache"], true);
    // One of the two coins is not enough.
    std::fs::remove_file(renamed.path().join("Bank/coin-2.bin")).expect("removed");
    let target = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", renamed.path().display());
    let refused = stage.get(&target).await;
    assert!(refused.status == 503 && refused.body.contains("refused the wallet's coin"), "{refused:?}");
    stage.stop().await;
}

/// A network whose Content Server keeps this many keys of each coin.
async fn with_keys_per_coin(keys: usize) -> Stage {
    let mut stage = Stage::new().await;
    let mut server = ServerConfig::new(Application::Echo);
    server.rules.keys_per_coin = keys;
    stage.network.restart_content_server_with(server).await.expect("a Content Server");
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn of_too_many_keys_of_a_coin_the_longest_unused_goes_and_its_tunnel_is_cut_with_a_reason() {
    let stage = with_keys_per_coin(2).await;
    let daemon = stage.daemon.address();
    let first = stage.create().await;
    let id = first["session_id"].as_str().expect("an id");
    let (mut up, body) = pieces();
    let path = format!("/api/rke/session/{id}/tunnel");
    let mut response = send(daemon, "POST", &path, &[], body).await.expect("an answer");
    up.send_data("before".into()).await.expect("sent");
    let frame = response.frame().await.expect("a frame").expect("data");
    assert_eq!(frame.into_data().ok().as_deref(), Some(b"before".as_slice()));
    let connect = format!("connect {id} --daemon {daemon}");
    let (is_through, through) = tokio::sync::oneshot::channel();
    let connected = tokio::spawn(waiting(arguments(&connect), is_through));
    through.await.expect("data comes back");
    // Another coin's keys are counted separately.
    create(&stage, &stage.network.other_wallet()).await;
    let (second, third) = (stage.create().await, stage.create().await);
    assert_eq!(stage.network.content_server_keys(), 3);
    let cut = finish(response).await;
    assert!(!cut.is_whole, "{}", String::from_utf8_lossy(&cut.body));
    let (code, reason) = connected.await.expect("no panic");
    assert!(code == 255 && reason.lines().count() == 1, "{code}: {reason}");
    assert!(reason.contains("was cut"), "{reason}");
    for session in [&second, &third] {
        assert_eq!(echo(daemon, session).await, b"to and fro");
    }
    let refused = post(daemon, &format!("session/{id}/tunnel"), &[], "x").await.refusal(409);
    assert!(refused.contains("no longer has this session's key"), "{refused}");
    // Another request for a session still opens one.
    assert_eq!(create(&stage, stage.network.wallet()).await["from_cache"], true);
    stage.stop().await;
}

/// Runs `rke` with an input that does not end, and says when data has come back. Returns its exit code and its
/// messages.
async fn waiting(arguments: Vec<String>, is_through: tokio::sync::oneshot::Sender<()>) -> (i32, String) {
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_rke"))
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("rke runs");
    let mut input = child.stdin.take().expect("an input");
    input.write_all(b"x").await.expect("sent");
    child.stdout.as_mut().expect("an output").read_exact(&mut [0]).await.expect("data");
    let _ = is_through.send(());
    let output = tokio::time::timeout(PATIENCE, child.wait_with_output()).await;
    let output = output.expect("it ends").expect("an output");
    drop(input);
    (output.status.code().expect("no signal"), String::from_utf8_lossy(&output.stderr).into_owned())
}
