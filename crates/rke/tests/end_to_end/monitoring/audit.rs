//! The audit logs of a RAIDA node and of a Content Server. What holds for every audit log is in `audit.rs`.

use std::fs;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

/// An audit log, and the data directory that has its key.
pub(super) struct Log {
    file: PathBuf,
    data_dir: PathBuf,
    _folder: tempfile::TempDir,
}

impl Log {
    pub(super) fn of(data_dir: PathBuf) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        Self { file: folder.path().join("audit.log"), data_dir, _folder: folder }
    }

    pub(super) fn flag(&self) -> [&str; 2] {
        ["--audit-log", self.file.to_str().expect("UTF-8")]
    }

    fn key(&self) -> [&str; 2] {
        ["--data-dir", self.data_dir.to_str().expect("UTF-8")]
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap_or_default()
    }

    /// What it says of events of this name.
    fn of_name(&self, name: &str) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["event"] == name).collect()
    }

    /// Waits for this many events of a name.
    pub(super) fn wait_for(&self, name: &str, count: usize) -> Vec<Value> {
        again_blocking(|| Some(self.of_name(name)).filter(|found| found.len() >= count).ok_or(self.text()))
    }

    fn rke(&self, arguments: &[&str]) -> String {
        let arguments = [arguments, &self.key()].concat();
        let output = crate::dev::rke(&arguments, Path::new("/")).output().expect("rke runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        said
    }

    fn is_whole(&self, files: &[&Path]) -> bool {
        let files: Vec<&str> = files.iter().map(|file| file.to_str().expect("UTF-8")).collect();
        self.rke(&[&["audit", "verify"], &files[..]].concat()).contains("Whole:")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_server_keeps_one_of_its_sessions_and_key_sets() {
    let mut stage = Stage::new().await;
    let log = Log::of(stage.network.server_data_dir());
    let server =
        Program::content_server(&mut stage, &[&log.flag()[..], &["--keys-per-coin", "2"]].concat()).await;
    assert_eq!(log.wait_for("content_server_started", 1)[0]["cs_id"], "CONTENT-SERVER01");
    assert_eq!(log.wait_for("key_set_served", 1)[0]["key_set"], "k1");

    let first = stage.create_id().await;
    let shown = stage.get(&format!("/api/rke/session/{first}")).await.json();
    let key_id = shown["key_id"].as_str().expect("a key id");
    let opened = log.wait_for("session_opened", 1).remove(0);
    assert_eq!((&opened["domain"], &opened["resumed"]), (&DOMAIN.into(), &false.into()));
    assert_eq!(opened["coin"], shown["coin"]);
    assert_eq!(log.rke(&["audit", "tag", key_id]).trim(), opened["session"]);

    // One more than the coin has room for.
    stage.create().await;
    stage.create().await;
    assert_eq!(log.wait_for("session_opened", 3)[1]["resumed"], true);
    assert_eq!(log.wait_for("session_evicted", 1)[0]["session"], opened["session"]);
    let last = stage.create_id().await;
    let everywhere = format!("/api/rke/session/{last}?everywhere=true&forget=true");
    crate::support::request(stage.daemon.address(), "DELETE", &everywhere).await;
    let forgotten = log.wait_for("session_forgotten", 1).remove(0);
    assert_eq!(forgotten["session"], log.of_name("session_opened")[3]["session"]);
    assert_eq!(log.wait_for("resumption_forgotten", 1)[0]["domain"], DOMAIN);
    let dropped = stage.create_id().await;
    log.wait_for("session_opened", 5);

    // The file moves away while the server runs.
    let old = log.file.with_extension("old");
    fs::rename(&log.file, &old).expect("moved");
    server.signal(Signal::HUP);
    log.wait_for("file_begun", 1);

    // SIGUSR1 ends all sessions. The daemon's resumption is gone with them, which it hears when it uses it.
    server.signal(Signal::USR1);
    assert_eq!(log.wait_for("session_dropped", 2).len(), 2);
    assert_eq!(server.value("rke_content_server_keys", &[("proof", "proven")]).await, 0.0);
    assert_eq!(server.value("rke_content_server_resumptions", &[]).await, 0.0);
    // Its client can still ask for proof.
    let everywhere = format!("/api/rke/session/{dropped}?everywhere=true");
    let deleted = crate::support::request(stage.daemon.address(), "DELETE", &everywhere).await;
    assert_eq!(deleted.json()["remote"], "forgotten");
    stage.create().await;
    let refused = log.wait_for("handshake_refused", 1).remove(0);
    assert_eq!((&refused["reason"], &refused["count"]), (&"no_such_key".into(), &1.into()));
    assert_eq!(log.wait_for("session_opened", 1)[0]["resumed"], false);
    server.stop();
    let stopped = log.of_name("content_server_stopped");
    assert_eq!(stopped[0]["sessions_ended"], 1, "{stopped:?}");
    assert!(log.is_whole(&[&old, &log.file]));
    let all = fs::read_to_string(&old).expect("a log") + &log.text();
    assert!(!all.contains(key_id), "a key's id is not in it: {all}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_server_records_which_keys_have_left_and_for_what() {
    let mut stage = Stage::new().await;
    let log = Log::of(stage.network.server_data_dir());
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("api.sock");
    let api = format!("unix:{}", socket.display());
    let flags = [&log.flag()[..], &["--api", &api, "--allow-export", "vpn"]].concat();
    let server = Program::content_server(&mut stage, &flags).await;
    let id = stage.create_id().await;
    let shown = stage.get(&format!("/api/rke/session/{id}")).await.json();
    let key_id = shown["key_id"].as_str().expect("a key id");
    let export = |label: &str| {
        let body = format!(r#"{{"session_id":"{key_id}","label":"{label}","length":32}}"#);
        let mut curl = std::process::Command::new("curl");
        curl.arg("--silent").arg("--unix-socket").arg(&socket);
        let output = curl.args(["--json", &body, "http://localhost/api/rke/export"]).output();
        serde_json::from_slice::<Value>(&output.expect("curl runs").stdout).expect("JSON")
    };
    let refused = export("mail");
    assert_eq!(refused["code"], 403, "{refused}");
    let key = export("vpn")["key"].as_str().expect("a key").to_owned();
    let events = log.wait_for("keys_exported", 1);
    assert_eq!(events.len(), 1, "what was refused has not left");
    assert_eq!((&events[0]["domain"], &events[0]["label"]), (&DOMAIN.into(), &"vpn".into()));
    assert_eq!(events[0]["session"], log.of_name("session_opened")[0]["session"]);
    assert!(!log.text().contains(&key));
    server.stop();
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_that_share_a_data_folder_do_not_both_keep_one() {
    let mut stage = Stage::new().await;
    let log = Log::of(stage.network.server_data_dir());
    let server = Program::content_server(&mut stage, &log.flag()).await;
    let other = log.file.with_extension("other").display().to_string();
    let serve = ["content-server", "serve", "--cs-id", "CONTENT-SERVER01", "--listen", "127.0.0.1:0"];
    let said = refused(&[&serve[..], &log.key(), &["--audit-log", &other]].concat(), stage.dir.path());
    assert!(said.contains("another process keeps an audit log with the data folder"), "{said}");
    server.stop();
    stage.stop().await;
}

/// While the log cannot be written, the program is not ready and counts what is lost, and `deed` still has its effect.
async fn cannot_write(program: &Program, log: &Log, deed: impl AsyncFn()) {
    fs::remove_file(&log.file).expect("removed");
    fs::create_dir(&log.file).expect("a folder in its place");
    program.signal(Signal::HUP);
    program.wait_for("the audit log cannot be reopened");
    deed().await;
    again(async || match program.value("rke_audit_write_failures_total", &[]).await {
        failures if failures >= 1.0 => Ok(()),
        failures => Err(format!("{failures} failures")),
    })
    .await;
    let unready = program.get("/health/ready", "host: localhost").await;
    let reasons = &unready.json()["reasons"];
    assert_eq!((unready.status, &reasons[0]), (503, &"the audit log cannot be written".into()));
    fs::remove_dir(&log.file).expect("removed");
    log.wait_for("lines_lost", 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_cannot_write_it_is_not_ready_and_goes_on() {
    let mut stage = Stage::new().await;
    let log = Log::of(stage.network.server_data_dir());
    let server = Program::content_server(&mut stage, &log.flag()).await;
    log.wait_for("key_set_served", 1);
    cannot_write(&server, &log, async || drop(stage.create().await)).await;
    server.stop();

    let log = Log::of(stage.dir.path().join("raida-07"));
    let node = node::start(&mut stage, &log.flag()).await;
    log.wait_for("node_started", 1);
    cannot_write(&node, &log, async || send_to_another_raida(&stage, 1)).await;
    node.stop();
    stage.stop().await;
}

/// Sends this many requests for RAIDA 8 to RAIDA 7, which refuses them.
fn send_to_another_raida(stage: &Stage, requests: usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let mut request = [0; 200];
    for (at, byte) in [(0, 1), (2, 8), (7, 6), (14, 1), (15, 1)] {
        request[at] = byte;
    }
    for _ in 0..requests {
        socket.send_to(&request, stage.network.node_addresses()[7]).expect("sent");
    }
}

/// The reason for which they are refused, as a label.
const WRONG_RAIDA: [(&str, &str); 1] = [("reason", "wrong_raida")];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_keeps_one_of_its_key_sets_their_owners_and_refusals() {
    let mut stage = Stage::new().await;
    let log = Log::of(stage.dir.path().join("raida-07"));
    let more = [&log.flag()[..], &["--preloader", "0:42=SHOP"]].concat();
    let node = node::start(&mut stage, &more).await;
    let started = log.wait_for("node_started", 1).remove(0);
    assert_eq!(started["raida"], 7);
    assert!(node::preload(&stage, "SHOP").contains("1 of 1"));
    let taken = log.wait_for("id_taken", 1).remove(0);
    assert_eq!((&taken["cs_id"], &taken["owner"]), (&"SHOP".into(), &"0:42".into()));
    let preloaded = log.wait_for("key_sets_preloaded", 1).remove(0);
    assert_eq!((&preloaded["coin"], &preloaded["key_sets"]), (&"0:42".into(), &"k1".into()));
    assert!(node::preload(&stage, "ANOTHER").contains("0 of 1"));
    let refused = log.wait_for("preload_refused", 1).remove(0);
    let (reason, cs_id) = (&refused["reason"], &refused["cs_id"]);
    assert_eq!(
        (reason, cs_id, &refused["coin"]),
        (&"not_permitted".into(), &"ANOTHER".into(), &"0:42".into())
    );

    // The file moves away while the node runs.
    let old = log.file.with_extension("old");
    fs::rename(&log.file, &old).expect("moved");
    node.signal(Signal::HUP);
    log.wait_for("file_begun", 1);

    // A thousand requests for another RAIDA are a few lines.
    again(async || {
        // Few at a time, because a socket holds few.
        send_to_another_raida(&stage, 100);
        match node.value("rke_raida_refusals_total", &WRONG_RAIDA).await {
            counted if counted >= 1000.0 => Ok(()),
            counted => Err(format!("{counted} are counted")),
        }
    })
    .await;
    let refusals = || -> u64 {
        let lines = log.of_name("request_refused").into_iter().filter(|line| line["reason"] == "wrong_raida");
        lines.map(|line| line["count"].as_u64().expect("a count")).sum()
    };
    again(async || match (refusals(), node.value("rke_raida_refusals_total", &WRONG_RAIDA).await as u64) {
        (told, counted) if told == counted => Ok(()),
        other => Err(format!("{other:?}: {}", log.text())),
    })
    .await;
    assert!(log.of_name("request_refused").len() < 500, "{}", log.text());
    node.stop();
    assert_eq!(log.of_name("node_stopped").len(), 1);

    let moved = log.rke(&[&["raida", "owner", "move", "SHOP", "0:43"], &log.flag()[..]].concat());
    assert!(moved.contains("belongs to coin 0:43 now"), "{moved}");
    let moved = log.of_name("id_moved").remove(0);
    assert_eq!(
        (&moved["from"], &moved["owner"], &moved["key_sets_removed"]),
        (&"0:42".into(), &"0:43".into(), &1.into())
    );
    assert!(log.is_whole(&[&old, &log.file]));
    stage.stop().await;
}
