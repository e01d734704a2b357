//! Clients that send a whole raw body before they read the response. They would wait for the daemon, which waits for
//! them, so the daemon tells them before the response begins.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::real::{Real, read_to_end};
use crate::support::{Answer, Stage, raw};
use crate::wire::{Reply, data, post, post_pieces};

const MIB: usize = 1024 * 1024;

/// More than the buffers of any system hold.
const LARGE: usize = 64 * MIB;

const REQUESTS: &str = "python-requests/2.32.3";

/// A program that sends the file `data` to `seal`, and prints the status and the message of the response.
struct Program {
    name: &'static str,
    arguments: [&'static str; 2],
}

const PROGRAMS: [Program; 2] = [
    Program {
        name: "python3",
        arguments: [
            "-c",
            r#"
import json, sys, urllib.error, urllib.request
data = open("data", "rb").read()
headers = {"X-RKE-Session": sys.argv[2], "Content-Type": "application/octet-stream"}
try:
    urllib.request.urlopen(urllib.request.Request(sys.argv[1], data, headers), timeout=60)
except urllib.error.HTTPError as error:
    print(error.code, json.load(error)["message"])
"#,
        ],
    },
    Program {
        name: "perl",
        arguments: [
            "-e",
            r#"
use HTTP::Tiny;
open(my $file, "<:raw", "data"); local $/;
my $options = { headers => { "X-RKE-Session" => $ARGV[1] }, content => <$file> };
my $response = HTTP::Tiny->new(timeout => 60)->post($ARGV[0], $options);
print "$response->{status} $response->{content}\n";
"#,
        ],
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_read_late_learn_why_and_what_to_do() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    std::fs::write(stage.dir.path().join("data"), vec![7; LARGE]).expect("written");
    let url = format!("http://{}/api/rke/seal", stage.daemon.address());
    for Program { name, arguments } in PROGRAMS {
        let mut command = Command::new(name);
        command.args(arguments).args([&url, &id]).current_dir(stage.dir.path());
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        let output = output.unwrap_or_else(|error| panic!("{name} is needed for this test: {error}"));
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let expected = ["413 ", "over 8 MiB", "before it reads", "send less at once", "docs/api.md"];
        assert!(expected.iter().all(|part| printed.contains(part)), "{name}: {printed} {output:?}");
    }
    // Nothing was encrypted for them.
    let shown = stage.get(&format!("/api/rke/session/{id}")).await.json();
    assert_eq!(shown["encrypt_count"], 0, "{shown}");
    stage.stop().await;
}

/// The response to a client with this name that reads nothing before it has sent everything.
async fn late(daemon: SocketAddr, path: &str, agent: &str, id: &str, body: Vec<u8>) -> Answer {
    let head = format!(
        "POST /api/rke/{path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nuser-agent: {agent}\r\n"
    );
    let length = format!("x-rke-session: {id}\r\ncontent-length: {}\r\n\r\n", body.len());
    raw(daemon, [head.into_bytes(), length.into_bytes(), body].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_reader_may_send_as_much_as_the_buffers_hold() {
    let stage = Stage::new().await;
    let (id, daemon) = (stage.create_id().await, stage.daemon.address());
    for agent in [REQUESTS, "Java/17.0.15", "Mozilla/5.0 (X11; Linux x86_64)"] {
        assert_eq!(late(daemon, "encrypt", agent, &id, vec![7; 4 * MIB]).await.status, 200, "{agent}");
        for path in ["encrypt", "decrypt", "seal", "open"] {
            let agent = format!("{agent}\r\nx-rke-nonce: {}", "0".repeat(32));
            let refused = late(daemon, path, &agent, &id, vec![7; LARGE]).await;
            assert_eq!(refused.status, 413, "{path} {agent}: {refused:?}");
            assert_eq!(refused.header("connection"), Some("close"), "{path} {agent}");
        }
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_is_refused_may_go_on_sending_for_a_while() {
    let real = Real::start(&[]).await;
    let mut stream = real.connect();
    let head = "POST /api/rke/seal HTTP/1.1\r\nhost: localhost\r\nuser-agent: Wget/1.21.3\r\n";
    let length = format!("x-rke-session: {}\r\ncontent-length: {LARGE}\r\n\r\n", "0".repeat(32));
    stream.write_all(&[head.as_bytes(), length.as_bytes()].concat()).expect("sent");
    for _ in 0..32 {
        std::thread::sleep(Duration::from_millis(75));
        stream.write_all(&vec![7; LARGE / 32]).expect("the daemon still reads");
    }
    assert_eq!(Answer::parse(&read_to_end(&mut stream)).status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_read_at_once_send_as_much_as_they_like() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let file = stage.dir.path().join("data");
    std::fs::write(&file, vec![7; LARGE]).expect("written");
    let url = format!("http://{}/api/rke/encrypt", stage.daemon.address());
    let (session, body) = (format!("X-RKE-Session: {id}"), format!("@{}", file.display()));
    let length = [&*body, "-HTransfer-Encoding:"];
    for framing in [length, [&*body, "-HTransfer-Encoding: chunked"]] {
        let mut curl = Command::new("curl");
        curl.args(["-sSf", "-H", &session, "-H", "Content-Type: a/b", "--data-binary"])
            .args(framing)
            .arg(&url);
        let output = tokio::task::spawn_blocking(move || curl.output()).await.expect("no panic");
        let output = output.expect("curl runs");
        assert!(output.status.success() && output.stdout.len() == LARGE, "{:?}", output.status);
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_response_to_chunks_of_a_late_reader_is_held_until_they_end() {
    let stage = Stage::new().await;
    let (id, daemon) = (stage.create_id().await, stage.daemon.address());
    let session = [("x-rke-session", &*id), ("user-agent", REQUESTS)];
    let plain = data(MIB);
    let sealed = in_pieces(daemon, "seal", &session, &plain).await;
    assert!(sealed.header("content-length").is_some(), "it was not held");
    let mut sealed = sealed.good();
    let opened = post(daemon, "open", &[("x-rke-session", &id)], sealed.clone()).await;
    assert!(opened.good() == plain);
    // A stream would have begun by then, and break off.
    sealed[900_000] ^= 1;
    let told = in_pieces(daemon, "open", &session, &sealed[..1_000_000]).await.refusal(422);
    assert!(told.starts_with("Cannot open this: "), "{told}");
    let told = in_pieces(daemon, "encrypt", &session, &data(MIB + 1)).await.refusal(413);
    assert!(told.contains("over 1 MiB without a declared length") && told.contains("(requests)"), "{told}");
    stage.stop().await;
}

async fn in_pieces(daemon: SocketAddr, path: &str, headers: &[(&str, &str)], bytes: &[u8]) -> Reply {
    post_pieces(daemon, path, headers, bytes, 30_000).await
}

#[tokio::test(flavor = "multi_thread")]
async fn at_the_unix_socket_a_late_reader_may_send_less() {
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("socket");
    let real = Real::start(&["--unix-socket", socket.to_str().expect("UTF-8")]).await;
    let id = real.create_id();
    for (agent, len, status) in [
        (REQUESTS, MIB, 200),
        (REQUESTS, MIB + 1, 413),
        ("HTTPie/3.2.4", LARGE, 413),
        ("curl/8.5.0", 60_000, 200),
    ] {
        let mut stream = UnixStream::connect(&socket).expect("connected");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a timeout");
        let head = "POST /api/rke/encrypt HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
        let length = format!("user-agent: {agent}\r\nx-rke-session: {id}\r\ncontent-length: {len}\r\n\r\n");
        stream.write_all(&[head.as_bytes(), length.as_bytes(), &vec![7; len]].concat()).expect("sent");
        let mut response = Vec::new();
        stream.read_to_end(&mut response).expect("a response");
        let response = Answer::parse(&String::from_utf8_lossy(&response));
        assert_eq!(response.status, status, "{agent} {len}");
        assert!(status == 200 || response.body.contains("over a unix socket"), "{response:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_explains_why_an_unknown_client_that_got_stuck_was_cut_off() {
    let real = Real::start(&["--body-timeout", "1"]).await;
    let id = real.create_id();
    let mut stream = real.connect();
    let head = "POST /api/rke/encrypt HTTP/1.1\r\nhost: localhost\r\nuser-agent: another/1\r\n";
    let length = format!("x-rke-session: {id}\r\ncontent-length: {LARGE}\r\n\r\n");
    let sent = stream.write_all(&[head.as_bytes(), length.as_bytes(), &vec![7; LARGE]].concat());
    let _ = stream.shutdown(Shutdown::Write);
    let mut response = Vec::new();
    let _ = stream.read_to_end(&mut response);
    assert!(response.len() < LARGE, "{sent:?}: it did not get stuck");
    let deadline = Instant::now() + Duration::from_secs(60);
    while !real.log().contains("a client that sends all of a large raw body before it reads gets stuck") {
        assert!(Instant::now() < deadline, "{}", real.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}
