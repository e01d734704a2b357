//! Data to and from the Content Server: the echo, a command, `rke connect`, rotation of key sets.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use rke_proto::ContentServerId;
use rke_raida::content_server::{Application, ContentServer, KeyRing, ServerConfig};
use rke_raida::network::LocalNetwork;
use serde_json::json;

use crate::records::Detour;
use crate::support::{Stage, raw};

fn cs_id() -> ContentServerId {
    ContentServerId::new("CONTENT-SERVER01").expect("an ID")
}

/// Posts data to a session's tunnel and gives what came back.
async fn post(daemon: SocketAddr, id: &str, data: &[u8]) -> String {
    let length = data.len();
    let head = format!(
        "POST /api/rke/session/{id}/tunnel HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    let answer = raw(daemon, [head.as_bytes(), data].concat()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    unchunk(&answer.body)
}

/// The data of a chunked body, which must have its end.
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

/// `rke` with these arguments and this input: its output.
pub(crate) async fn rke(arguments: Vec<String>, input: &str) -> (bool, String, String) {
    let input = input.to_owned();
    let run = move || {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rke"))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rke runs");
        child.stdin.take().expect("an input").write_all(input.as_bytes()).expect("written");
        let output = child.wait_with_output().expect("an output");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    tokio::task::spawn_blocking(run).await.expect("no panic")
}

pub(crate) fn arguments(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_comes_back_from_the_echo() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    for length in [0, 1, 1000, 60_000] {
        let data: String = (0..length).map(|at| char::from(b'a' + (at % 26) as u8)).collect();
        assert_eq!(post(stage.daemon.address(), &id, data.as_bytes()).await, data);
    }
    // A second session has the same key from the cache, and goes on under the same name.
    let again = stage.create_id().await;
    assert_eq!(post(stage.daemon.address(), &again, b"from the cache").await, "from the cache");
    let connect = format!("connect {again} --daemon {}", stage.daemon.address());
    let (success, output, log) = rke(arguments(&connect), "through the program\n").await;
    assert!(success && output == "through the program\n", "{output}{log}");
    stage.get(&format!("/api/rke/session/delete?session_id={again}")).await;
    let (success, _, log) = rke(arguments(&connect), "").await;
    assert!(!success && log.contains("Session not found or expired"), "{log}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_answers_each_connection() {
    let command = "tr a-z A-Z; echo $RKE_COIN".to_owned();
    let mut server = None;
    let detour = async |network: &LocalNetwork, dir: &tempfile::TempDir| {
        let keys = KeyRing::open(cs_id(), &dir.path().join("content-server/data")).expect("keys");
        let config = ServerConfig::new(Application::Exec(command));
        let started = ContentServer::start(config, keys).await.expect("a Content Server");
        let mut records = network.records().clone();
        records.port = started.address().port();
        server = Some(started);
        records
    };
    let detour = Detour::new(detour, |_| ()).await;
    let shown = detour.show(&detour.create().await).await;
    let id = shown["session_id"].as_str().expect("an id");
    for _ in 0..2 {
        assert_eq!(post(detour.daemon.address(), id, b"hello\n").await, "HELLO\n0:1001\n");
    }
    server.expect("a Content Server").stop().await;
    detour.stop().await;
}

/// Rotates the key sets with the program, and gives the TXT records that it prints.
async fn rotate(network: &LocalNetwork, dir: &tempfile::TempDir) -> Vec<String> {
    let rotate = format!(
        "content-server rotate --cs-id CONTENT-SERVER01 --domain content.rke.test --host cs.content.rke.test \
         --port {} --retire-after 0 --raida-directory {} --wallet {} --data-dir {}",
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
    for (publish_new, confirmed) in [(true, true), (false, false)] {
        let detour = async |network: &LocalNetwork, dir: &tempfile::TempDir| {
            let mut records = network.records().clone();
            let new = rotate(network, dir).await;
            assert!(new.contains(&"k2 = CONTENT-SERVER01".to_owned()), "{new:?}");
            if publish_new {
                records.texts = new;
            }
            // The Content Server looks once a second.
            tokio::time::sleep(Duration::from_millis(1500)).await;
            records
        };
        let detour = Detour::new(detour, |_| ()).await;
        let shown = detour.show(&detour.create().await).await;
        assert_eq!(shown["confirmed"], json!(confirmed), "{shown}");
        detour.stop().await;
    }
}
