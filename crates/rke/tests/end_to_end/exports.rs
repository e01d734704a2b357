//! Keys that leave sessions: the same at both ends, only where they may leave, and counted.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use http_body_util::Full;
use hyper::body::Bytes;
use rke_host::exports::ExportLabels;
use serde_json::{Value, json};

use crate::other_end::Ends;
use crate::support::{Stage, get};
use crate::tunnel::rke_code;
use crate::weakly_authenticated::{own, scene};
use crate::wire::{Reply, finish, send};

async fn export(address: SocketAddr, token: &str, body: Value) -> Reply {
    let bearer = format!("Bearer {token}");
    let headers = [("content-type", "application/json"), ("authorization", &*bearer)];
    let sent =
        send(address, "POST", "/api/rke/export", &headers, Full::<Bytes>::from(body.to_string())).await;
    finish(sent.expect("an answer")).await
}

fn body(id: &str, label: &str, length: u64) -> Value {
    json!({"session_id": id, "label": label, "context": "AAEC", "length": length})
}

/// The value of a metric.
async fn metric(address: SocketAddr, name: &str) -> Option<u64> {
    let metrics = get(address, "/metrics").await.body;
    metrics.lines().find_map(|line| line.strip_prefix(&format!("{name} "))?.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_ends_export_the_same_key_and_the_status_counts_it() {
    let ends = Ends::over_tcp().await;
    let daemon = ends.stage.daemon.address();
    let id = ends.stage.create_id().await;
    let shown = ends.stage.get(&format!("/api/rke/session/{id}")).await.json();
    let key_id = shown["key_id"].as_str().expect("a key id");
    for (label, length) in [("test", 16), ("test", 32), ("test: vpn", 33), ("test", 64)] {
        let here = export(daemon, "", body(&id, label, length)).await;
        let there = export(ends.address(), &ends.token, body(key_id, label, length)).await;
        assert_eq!((here.status, here.field("key").len() as u64), (200, length));
        assert_eq!(here.json(), there.json());
        assert_eq!(here.json()["length"], length);
        assert_eq!(here.header("content-type"), Some("application/json"));
    }
    let mut whole = body(&id, "test", 32);
    whole["length"] = json!(32.0);
    let same = export(daemon, "", body(&id, "test", 32)).await;
    assert_eq!(export(daemon, "", whole.clone()).await.json(), same.json(), "JSON has one kind of number");
    whole["length"] = json!(32.5);
    assert_eq!(export(daemon, "", whole).await.status, 400);
    let other = export(ends.address(), &ends.token, body(&ends.key_id, "test", 32)).await;
    assert_ne!(other.field("key"), same.field("key"), "another session");
    let status = ends.stage.get("/api/rke/status").await.json();
    assert_eq!(status["exports"], json!({"allowed": ["test*"], "count": 6}));
    assert_eq!(metric(daemon, "rke_exports_total").await, Some(6));
    ends.stop().await;
}

/// Runs `rke export`. Returns its exit code, its output and what it says.
async fn rke_export(address: SocketAddr, token_file: Option<&Path>, line: &str) -> (i32, String, String) {
    let mut arguments = vec!["export".to_owned()];
    arguments.extend(line.split(' ').map(Into::into));
    arguments.extend(["--daemon".into(), address.to_string()]);
    if let Some(file) = token_file {
        arguments.extend(["--token-file".into(), file.display().to_string()]);
    }
    rke_code(arguments, "").await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_the_key_of_either_end() {
    let ends = Ends::over_tcp().await;
    let (here, there, token) = (ends.stage.daemon.address(), ends.address(), ends.token_file());
    let id = ends.stage.create_id().await;
    let shown = ends.stage.get(&format!("/api/rke/session/{id}")).await.json();
    let key_id = shown["key_id"].as_str().expect("a key id");
    let key = export(here, "", body(&id, "test", 33)).await;
    let expected = key.json()["key"].as_str().expect("a key").to_owned() + "\n";
    for (address, token, session) in
        [(here, None, &id[..]), (here, None, &id[..8]), (there, Some(&*token), key_id)]
    {
        let line = format!("{session} --label test --context AAEC --length 33");
        assert_eq!(rke_export(address, token, &line).await, (0, expected.clone(), String::new()));
    }
    let json = rke_export(here, None, &format!("{id} --label test --context AAEC --length 33 --json")).await;
    assert_eq!(serde_json::from_str::<Value>(&json.1).expect("JSON"), key.json());
    let other = rke_export(here, None, &format!("{id} --label test")).await;
    assert_eq!((other.0, other.1.len()), (0, 45), "32 bytes, without a context: {}", other.2);
    let refused = rke_export(here, None, &format!("{id} --label other")).await;
    assert!(refused.0 == 1 && refused.1.is_empty() && refused.2.contains("--allow-export"), "{refused:?}");
    for wrong in ["--length 15", "--length 65", "--context x", "--format hex", "--format raw --json"] {
        let (code, output, _) = rke_export(here, None, &format!("{id} --label test {wrong}")).await;
        assert_eq!((code, output.as_str()), (2, ""), "{wrong}");
    }
    ends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_prints_raw_bytes_and_nothing_else() {
    let ends = Ends::over_tcp().await;
    let id = ends.stage.create_id().await;
    let key = export(ends.stage.daemon.address(), "", body(&id, "test", 64)).await.field("key");
    let daemon = ends.stage.daemon.address().to_string();
    let printed = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
        command.args(["export", &id, "--label", "test", "--context", "AAEC", "--length", "64"]);
        command.args(["--format", "raw", "--daemon", &daemon]).output().expect("rke runs")
    });
    let printed = printed.await.expect("no panic");
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    assert_eq!((printed.stdout.len(), printed.stdout), (64, key));
    ends.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaves_a_daemon_that_allows_no_label() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let refused = export(stage.daemon.address(), "", body(&id, "test", 32)).await;
    let message = refused.refusal(403);
    assert!(message.starts_with("Keys with this label may not be exported; "), "{message}");
    assert!(message.contains("--allow-export"), "{message}");
    let status = stage.get("/api/rke/status").await.json();
    assert_eq!(status["exports"], json!({"allowed": [], "count": 0}));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn weakly_authenticated_sessions_export_nothing() {
    let labels = ExportLabels::new(vec!["*".into()]);
    let weak = scene(own, |config| config.reloadable.allow_export = labels).await;
    let id = weak.create().await.json()["session_id"].as_str().expect("an id").to_owned();
    let refused = export(weak.daemon.address(), "", body(&id, "test", 32)).await;
    let message = refused.refusal(403);
    assert!(
        message.starts_with("This session exports no keys: ") && message.contains("`strong`"),
        "{message}"
    );
    assert_eq!(refused.json()["session_id"], id);
    weak.stop().await;
}
