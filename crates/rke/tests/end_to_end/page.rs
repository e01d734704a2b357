//! The client programs on the documented page run unchanged, except for the port and the id.

use std::path::Path;
use std::process::Command;

use crate::support::Stage;

fn run(program: &str, arguments: &[&str], dir: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(dir).env("HOME", dir).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program}: {text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// The program with the daemon's address and a session's id in place of those on the page.
fn adapted(program: &str, stage: &Stage, id: &str) -> String {
    let host = format!("http://localhost:{}", stage.daemon.address().port());
    program.replace("http://localhost:8080", &host).replace("a1b2c3d4e5f67890a1b2c3d4e5f67890", id)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_deletes_a_session() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    // A browser has sessionStorage. Node gets a substitute that holds the id.
    let storage = format!(
        "const stored = new Map([['rke_session_id', '{id}']]);\n\
         globalThis.sessionStorage = {{ getItem: k => stored.get(k) ?? null, removeItem: k => stored.delete(k) }};\n"
    );
    let file = stage.dir.path().join("delete.js");
    std::fs::write(&file, storage + &adapted(include_str!("page/delete.js"), &stage, &id)).expect("written");
    let printed = run("node", &["delete.js"], stage.dir.path());
    assert_eq!(printed.trim(), format!("Session deleted: {id}"));
    assert_eq!(stage.get(&format!("/api/rke/session/{id}")).await.status, 404);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_curl_lines_delete_a_session_once() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    // `jq` only formats the output of the second line.
    let script = adapted(include_str!("page/delete.sh"), &stage, &id).replace(" | jq", "");
    let printed = run("sh", &["-c", &script], stage.dir.path());
    let first = format!(r#"{{"command":"rke_session_delete","success":true,"session_id":"{id}"}}"#);
    let second = format!(r#"{{"error":true,"message":"Session not found","code":404,"session_id":"{id}"}}"#);
    assert_eq!(printed, first + &second);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_go_program_deletes_a_session() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let file = stage.dir.path().join("delete.go");
    std::fs::write(&file, adapted(include_str!("page/delete.go"), &stage, &id)).expect("written");
    assert_eq!(run("go", &["run", "delete.go"], stage.dir.path()).trim(), "Session deleted successfully");
    assert_eq!(stage.get(&format!("/api/rke/session/{id}")).await.status, 404);
    stage.stop().await;
}
