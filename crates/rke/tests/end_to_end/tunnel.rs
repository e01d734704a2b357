//! Data to and from the Content Server: the echo, commands, `rke connect`, rotation of key sets. Incomplete data is
//! tested in `cuts`.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Instant;

use rke_daemon::Daemon;
use rke_engine::Domain;
use rke_raida::content_server::ServerConfig;
use rke_raida::dns::DnsServer;
use rke_raida::network::LocalNetwork;
use serde_json::json;

use crate::records::Detour;
use crate::support::{DOMAIN, PATIENCE, Stage, again, config, get, network, raw, running};

/// Posts data to a session's tunnel and returns the response.
async fn post(daemon: SocketAddr, id: &str, data: &[u8]) -> String {
    let length = data.len();
    let head = format!(
        "POST /api/rke/session/{id}/tunnel HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let answer = raw(daemon, [head.as_bytes(), data].concat()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    unchunk(&answer.body)
}

/// The data of a chunked body, which must have its last chunk.
fn unchunk(body: &str) -> String {
    let (mut rest, mut data) = (body, String::new());
    loop {
        let (length, more) = rest.split_once("\r\n").expect("a chunk");
        let length = usize::from_str_radix(length, 16).expect("a length");
        if length == 0 {
            return data;
        }
        data += &more[..length];
        rest = &more[length + 2..];
    }
}

/// Runs `rke` with these arguments and this input. Returns its exit code, its output and its messages.
pub(crate) async fn rke_code(arguments: Vec<String>, input: &str) -> (i32, String, String) {
    let input = input.to_owned();
    let run = move || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rke"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rke runs");
        // A program that fails at once does not read its input.
        let _ = child.stdin.take().expect("an input").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("an output");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code().expect("no signal"), text(&output.stdout), text(&output.stderr))
    };
    tokio::task::spawn_blocking(run).await.expect("no panic")
}

/// The same, with whether it succeeded in place of the exit code.
pub(crate) async fn rke(arguments: Vec<String>, input: &str) -> (bool, String, String) {
    let (code, output, log) = rke_code(arguments, input).await;
    (code == 0, output, log)
}

pub(crate) fn arguments(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

/// A network with this command behind its Content Server.
async fn with_command(command: &str) -> Stage {
    let mut stage = Stage::new().await;
    let server = ServerConfig::new(running(command));
    stage.network.restart_content_server_with(server).await.expect("a Content Server");
    stage
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_comes_back_from_the_echo() {
    let stage = Stage::new().await;
    // One session with shares from the RAIDAs, and one from the cache, which has its own key.
    for _ in 0..2 {
        let id = stage.create_id().await;
        for length in [0, 1, 1000, 60_000] {
            let data: String = (0..length).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
            assert_eq!(post(stage.daemon.address(), &id, data.as_bytes()).await, data);
        }
        let connect = format!("connect {id} --daemon {}", stage.daemon.address());
        let ended = rke_code(arguments(&connect), "through the program\n").await;
        assert_eq!(ended, (0, "through the program\n".into(), String::new()));
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_answers_each_connection_and_knows_whose_it_is() {
    let stage = with_command("tr a-z A-Z; echo $RKE_COIN $RKE_DOMAIN $RKE_SESSION_KEY_ID").await;
    let id = stage.create_id().await;
    let shown = stage.get(&format!("/api/rke/session/{id}")).await.json();
    let text = |name: &str| shown[name].as_str().expect("text").to_owned();
    for _ in 0..2 {
        let said = format!("HELLO\n{} {DOMAIN} {}\n", text("coin"), text("key_id"));
        assert_eq!(post(stage.daemon.address(), &id, b"hello\n").await, said);
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_ends_with_the_exit_status_of_the_command() {
    for (command, status) in [
        ("cat", 0),
        ("cat; exit 1", 1),
        ("cat; exit 254", 254),
        ("cat; kill -9 $$", 137),
        ("cat; exit 255", 255),
    ] {
        let stage = with_command(command).await;
        let connect = format!("connect {} --daemon {}", stage.create_id().await, stage.daemon.address());
        let ended = rke_code(arguments(&connect), "data").await;
        assert_eq!(ended, (status, "data".into(), String::new()), "{command}");
        stage.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_ends_with_255_and_a_line_of_reason_where_it_fails_itself() {
    let mut stage = Stage::new().await;
    let (id, daemon) = (stage.create_id().await, stage.daemon.address());
    let fails = async |what: &str, reason: &str| {
        let (code, output, log) = rke_code(arguments(what), "data").await;
        assert_eq!((code, output.as_str(), log.lines().count()), (255, "", 1), "{what}: {log}");
        assert!(log.starts_with("rke: ") && log.contains(reason), "{what}: {log}");
    };
    let missing = "0".repeat(32);
    fails(&format!("connect {missing} --daemon {daemon}"), "Session not found; open a new session").await;
    fails(&format!("connect {id} --daemon 127.0.0.1:1"), "start a daemon with `rke serve`").await;
    fails(&format!("connect {id} --daemon unix:/nowhere"), "no daemon responds at unix:/nowhere").await;
    fails(&format!("connect {id} --daemon {daemon} --token-file /nowhere"), "token").await;
    let server = stage.network.content_server_address();
    stage.network.stop_content_server().await;
    let named = format!("the Content Server at cs.{DOMAIN}:{}: it refuses connections", server.port());
    fails(&format!("connect {id} --daemon {daemon}"), &named).await;
    stage.network.restart_content_server().await.expect("a Content Server");
    let states = arguments(&format!("session list --format {{state}} --daemon {daemon}"));
    assert_eq!(rke_code(states.clone(), "").await, (0, "ok\n".into(), String::new()), "not asked");
    fails(&format!("connect {id} --daemon {daemon}"), "no longer has this session's key").await;
    assert_eq!(rke_code(states, "").await, (0, "key gone\n".into(), String::new()));
    let (code, output, _) = rke_code(arguments(&format!("connect {id} --daemon {daemon} --json")), "").await;
    assert!(code == 255 && output.contains(r#""code":409"#), "{output}");
    let (usage, _, _) = rke_code(arguments("connect"), "").await;
    assert_eq!(usage, 2);
    // A new session, as the message suggests.
    let again = format!("connect {} --daemon {daemon}", stage.create_id().await);
    assert_eq!(rke_code(arguments(&again), "data").await, (0, "data".into(), String::new()));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_ends_with_the_response_also_where_its_input_goes_on() {
    let stage = with_command("echo enough; exit 7").await;
    let (id, daemon) = (stage.create_id().await, stage.daemon.address().to_string());
    let run = move || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rke"))
            .args(["connect", &id, "--daemon", &daemon])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("rke runs");
        let open = child.stdin.take();
        let began = Instant::now();
        let output = child.wait_with_output().expect("an output");
        drop(open);
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(7), &b"enough\n"[..]));
        assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    };
    tokio::task::spawn_blocking(run).await.expect("no panic");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_ends_quietly_where_nobody_reads_on() {
    let stage = with_command("yes").await;
    let connect = format!(
        "{} connect {} --daemon {} < /dev/null | head -1; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_rke"),
        stage.create_id().await,
        stage.daemon.address()
    );
    let run = move || Command::new("bash").args(["-c", &connect]).output().expect("bash runs");
    let output = tokio::task::spawn_blocking(run).await.expect("no panic");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("y\n255\n".into(), String::new()));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_says_where_a_cut_cannot_be_told_from_an_end() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    let records = network.add_narrow_key_set().await.expect("a key set of narrow shares");
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let dns = DnsServer::start(loopback, [&records], loopback.ip()).await.expect("a DNS server");
    let mut config = config(&dir, dns.address());
    config.reloadable.allow_weak_shares = vec![Domain::new(DOMAIN).expect("a domain")];
    let daemon = Daemon::start(config).await.expect("a daemon");
    let create = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", network.wallet().display());
    let created = get(daemon.address(), &create).await;
    assert_eq!(created.status, 200, "{created:?}");
    let id = created.json()["session_id"].as_str().expect("an id").to_owned();
    let shown = get(daemon.address(), &format!("/api/rke/session/{id}")).await.json();
    assert_eq!((&shown["authenticated"], &shown["confirmed"]), (&json!("no"), &json!(true)), "{shown}");
    let connect = format!("connect {id} --daemon {}", daemon.address());
    let (code, output, log) = rke_code(arguments(&connect), "through weak shares").await;
    assert_eq!((code, output.as_str()), (0, "through weak shares"), "{log}");
    assert!(log.starts_with("WEAK: this tunnel has no authenticated end"), "{log}");
    // The tunnel has no exit status either.
    let head = format!(
        "POST /api/rke/session/{id}/tunnel HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nte: trailers\r\ncontent-length: 0\r\n\r\n"
    );
    let answer = raw(daemon.address(), head).await;
    assert!(answer.header("trailer").is_none() && answer.body == "0\r\n\r\n", "{answer:?}");
    daemon.stop().await;
    dns.stop().await;
    network.stop().await;
}

/// Rotates the key sets with the program, and returns the TXT records that it prints.
async fn rotate(network: &LocalNetwork, dir: &tempfile::TempDir) -> Vec<String> {
    let rotate = format!(
        "content-server rotate --cs-id CONTENT-SERVER01 --domain content.rke.test --host cs.content.rke.test \
         --port {} --timeout 60 --retire-after 0 --raida-directory {} --wallet {} --data-dir {}",
        network.content_server_address().port(),
        network.directory_file().display(),
        dir.path().join("content-server/wallet").display(),
        dir.path().join("content-server/data").display(),
    );
    let (success, output, log) = rke(arguments(&rotate), "").await;
    assert!(success, "{log}");
    output.lines().filter_map(|line| line.split('"').nth(1)).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_content_server_takes_up_a_rotated_key_set_and_retires_the_old_one() {
    for publish_new in [true, false] {
        let detour = async |network: &LocalNetwork, dir: &tempfile::TempDir| {
            let mut records = network.records().clone();
            let new = rotate(network, dir).await;
            assert!(new.contains(&"k2 = CONTENT-SERVER01".to_owned()), "{new:?}");
            if publish_new {
                records.texts = new;
            }
            records
        };
        // The Content Server checks for new key sets once a second. Until then, each attempt opens a session.
        let detour = Detour::new(detour, |config| config.reloadable.max_sessions = 4096).await;
        let created = again(async || {
            let created = detour.create().await;
            let has_changed =
                if publish_new { created.status == 200 } else { created.body.contains("retired") };
            if has_changed { Ok(created) } else { Err(created.body) }
        })
        .await;
        match publish_new {
            true => assert_eq!(detour.show(&created).await["confirmed"], json!(true)),
            false => assert_eq!(created.status, 502, "{created:?}"),
        }
        detour.stop().await;
    }
}
