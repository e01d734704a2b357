//! Content Servers that are away, that something else stands in for, that have started again, that have no room for more;
//! and wallets that do not hold the coins of the exchange before. What the cache is good for then.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

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

use crate::faults::with_other_ans;
use crate::records::Detour;
use crate::support::{DOMAIN, Stage, config, get, network};
use crate::tunnel::arguments;
use crate::wire::{finish, pieces, post, send};

/// A daemon whose DNS names the Content Server at another port.
async fn at_port(port: u16, confirm: Confirm) -> Detour {
    let elsewhere = async |network: &LocalNetwork, _: &tempfile::TempDir| {
        let mut records = network.records().clone();
        records.port = port;
        records
    };
    let change = |config: &mut rke_engine::settings::Config| {
        config.reloadable.confirm = confirm;
        config.reloadable.confirm_timeout = Duration::from_millis(700);
    };
    Detour::new(elsewhere, change).await
}

/// No session, for this reason, and nothing is left of it.
async fn check_refused(detour: &Detour, port: u16, reason: &str) {
    let refused = detour.create().await;
    let message = format!("Cannot agree on a key with the Content Server at cs.{DOMAIN}:{port}: {reason}");
    let body = refused.json();
    assert_eq!((refused.status, &body["message"], &body["domain"]), (502, &json!(message), &json!(DOMAIN)));
    let status = detour.get("/api/rke/status").await.json();
    assert_eq!((&status["sessions"]["total"], &status["keystore"]["total"]), (&json!(0), &json!(0)));
    let raidas = detour.get("/api/rke/raidas").await.json();
    let rows = raidas["raidas"].as_array().expect("rows");
    assert!(rows.iter().all(|row| row["lies"] == 0 && row["last_fault"].is_null()), "{raidas}");
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
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
        // The records change while the daemon still has the old ones for an hour.
        old.stop().await;
        let new = DnsServer::start(dns, [&newer], loopback.ip()).await.expect("a DNS server");
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
        let port = free_port();
        let detour = at_port(port, confirm).await;
        check_refused(&detour, port, "it refuses connections").await;
        detour.stop().await;
    }
}

/// Something that reads what comes, says this and hangs up; nothing: it says nothing and holds the line.
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
    let another = "what answers there is not the Content Server, or is another version of it";
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
        let detour = at_port(port, Confirm::Try).await;
        if reason.ends_with(' ') {
            let refused = detour.create().await;
            assert!(refused.status == 502 && refused.body.contains(reason), "{refused:?}");
        } else {
            check_refused(&detour, port, reason).await;
        }
        detour.stop().await;
    }
}

/// What came back of data that went through a session's tunnel.
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
    // Older sessions go on at this end, and say of their tunnel what has happened.
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
    // Only what the coins are called is read for this.
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
    let connected = tokio::spawn(waiting(arguments(&connect)));
    tokio::time::sleep(Duration::from_millis(300)).await;
    // Another coin's keys count for themselves.
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
    // One more request for a session still makes one.
    assert_eq!(create(&stage, stage.network.wallet()).await["from_cache"], true);
    stage.stop().await;
}

/// `rke` with an input that does not end: its exit code, and what it says.
async fn waiting(arguments: Vec<String>) -> (i32, String) {
    let began = Instant::now();
    let mut child = tokio::process::Command::new(env!("CARGO_BIN_EXE_rke"))
        .args(arguments)
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("rke runs");
    let input = child.stdin.take();
    let output = tokio::time::timeout(Duration::from_secs(20), child.wait_with_output()).await;
    let output =
        output.unwrap_or_else(|_| panic!("it goes on after {:?}", began.elapsed())).expect("an output");
    drop(input);
    (output.status.code().expect("no signal"), String::from_utf8_lossy(&output.stderr).into_owned())
}
