//! The audit log of a real daemon: which events it records, that no change to it goes unnoticed, and that it
//! survives the failures of daemons and disks.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};
use serde_json::Value;

use crate::real::{Real, get_with, request_with};
use crate::support::{DOMAIN, PATIENCE};

/// A daemon with an audit log.
struct Audited {
    real: Real,
    log: PathBuf,
    /// The folder of the log. It cannot be the daemon's own folder, which is only known once the daemon runs.
    _folder: tempfile::TempDir,
}

impl Audited {
    async fn start(flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let log = folder.path().join("audit.log");
        let path = log.to_str().expect("UTF-8").to_owned();
        let real = Real::start(&[&["--audit-log", &path], flags].concat()).await;
        Self { real, log, _folder: folder }
    }

    fn kill_and_restart(&mut self) {
        let path = self.log.to_str().expect("UTF-8").to_owned();
        self.real.kill_and_restart(&["--audit-log", &path]);
    }

    fn delete(&self, id: &str, more: &str) {
        let answer = self.real.get(&format!("/api/rke/session/delete?session_id={id}{more}"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }

    fn lines(&self) -> Vec<String> {
        fs::read_to_string(&self.log).expect("a log").lines().map(str::to_owned).collect()
    }

    fn events(&self) -> Vec<Value> {
        self.lines().iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    fn names(&self) -> Vec<String> {
        self.events().iter().map(|event| event["event"].as_str().expect("a name").to_owned()).collect()
    }

    fn of(&self, name: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == name).collect()
    }

    /// Waits until the log shows something. A separate thread writes it, with a short delay.
    fn wait_for(&self, what: &str, is_there: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !is_there(self) {
            assert!(Instant::now() < deadline, "no {what}: {:?}", self.lines());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn write(&self, lines: &[String]) {
        fs::write(&self.log, lines.iter().map(|line| format!("{line}\n")).collect::<String>())
            .expect("written");
    }

    fn rke(&self, arguments: &[&str]) -> Verdict {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
        let output = command.args(arguments).env_remove("RKE_DATA_DIR").output().expect("rke runs");
        Verdict::new(&output)
    }

    /// The result of `rke audit verify` with the daemon's key.
    fn verify(&self) -> Verdict {
        let (log, data_dir) = (self.log.to_str().expect("UTF-8"), self.real.data_dir());
        self.rke(&["audit", "verify", log, "--data-dir", data_dir.to_str().expect("UTF-8")])
    }

    /// The result on a machine that does not have the key.
    fn verify_without_key(&self) -> Verdict {
        self.rke(&["audit", "verify", self.log.to_str().expect("UTF-8")])
    }
}

/// How `rke audit` ended, and what it printed.
#[derive(Debug)]
struct Verdict {
    code: Option<i32>,
    text: String,
}

impl Verdict {
    fn new(output: &Output) -> Self {
        let text = [&output.stdout[..], &output.stderr].concat();
        Self { code: output.status.code(), text: String::from_utf8(text).expect("UTF-8") }
    }

    fn is_whole(&self) -> bool {
        self.code == Some(0) && self.text.contains("Whole:")
    }

    /// Whether the log is reported as broken in this line for this reason.
    fn is_broken(&self, line: usize, reason: &str) -> bool {
        let found =
            self.text.lines().any(|text| text.contains(&format!("line {line}: ")) && text.contains(reason));
        self.code == Some(1) && found && self.text.contains("BROKEN")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_tells_what_happened_and_is_whole() {
    let mut audited = Audited::start(&[]).await;
    let real = &audited.real;
    let (deleted, expired) = (real.create_id(), real.create_id());
    assert_eq!(
        real.send(request_with("POST", &format!("/api/rke/session/{expired}/renew"), "host: localhost"))
            .status,
        200
    );
    assert_eq!(real.get(&format!("/api/rke/session?domain={DOMAIN}&wallet_path=/nowhere")).status, 400);
    for _ in 0..3 {
        assert_eq!(real.send(get_with("/api/rke/status", "host: evil.example")).status, 421);
    }
    audited.delete(&deleted, "&forget=true");
    audited.real.configure("session-idle = 1\n");
    audited.wait_for("expiry", |audited| !audited.of("session_expired").is_empty());
    audited.real.configure("");
    audited.real.create_id();
    audited.real.signal(Signal::USR1);
    audited.wait_for("drop", |audited| !audited.of("session_dropped").is_empty());
    audited.real.create_id();
    audited.real.terminate();

    let tag = |id: &str| {
        let data_dir = audited.real.data_dir();
        let tag = audited.rke(&["audit", "tag", id, "--data-dir", data_dir.to_str().expect("UTF-8")]);
        Value::from(tag.text.trim())
    };
    let created = audited.of("session_created");
    assert_eq!(created.len(), 4);
    assert_eq!((&created[0]["session"], &created[1]["session"]), (&tag(&deleted), &tag(&expired)));
    assert_eq!((&created[0]["from_cache"], &created[1]["from_cache"]), (&false.into(), &true.into()));
    assert_eq!((&created[0]["key_bits"], &created[0]["confirmed"]), (&256.into(), &true.into()));
    assert_eq!(created[0]["authenticated"], "strong");
    for (name, id) in
        [("session_deleted", &deleted), ("session_renewed", &expired), ("session_expired", &expired)]
    {
        let event = &audited.of(name)[0];
        assert_eq!((&event["session"], &event["domain"]), (&tag(id), &DOMAIN.into()), "{name}");
    }
    assert_eq!(audited.of("session_refused")[0]["reason"], "wallet");
    let refused = audited.of("request_refused");
    assert_eq!(refused.iter().map(|event| event["count"].as_u64().expect("a count")).sum::<u64>(), 3);
    assert!(refused.iter().all(|event| event["rule"] == "host"));
    let forgotten = audited.of("keys_forgotten");
    assert_eq!((&forgotten[0]["domain"], &forgotten[0]["count"]), (&DOMAIN.into(), &1.into()));
    assert_eq!(audited.names()[..2], ["file_begun", "daemon_started"]);
    let last = audited.events().pop().expect("a line");
    assert_eq!((&last["event"], &last["sessions_ended"]), (&"daemon_stopped".into(), &1.into()));
    // The keys of four sessions, and the cached key, twice. A stop waits for the Content Server only briefly, and the
    // next start goes on with the rest.
    let count = |what: &str| last["remote_deletions"][what].as_u64().expect("a count");
    assert_eq!(count("pending") + count("confirmed"), 6, "{last}");
    if count("pending") > 0 {
        audited.kill_and_restart();
        audited.wait_for("confirmations", |audited| audited.of("remote_deletion_confirmed").len() == 6);
        audited.real.terminate();
    }
    let remote = audited.of("remote_deletion_confirmed");
    let server = audited.real.network.content_server_address().port().to_string();
    assert_eq!(remote.len(), 6);
    assert!(count("pending") > 0 || remote[5]["remote_deletions"] == last["remote_deletions"], "{last}");
    assert!(remote.iter().all(|event| event["server"].as_str().is_some_and(|at| at.ends_with(&server))));
    let (verdict, keyless) = (audited.verify(), audited.verify_without_key());
    assert!(verdict.is_whole() && verdict.text.contains("seals"), "{verdict:?}");
    assert!(keyless.is_whole() && keyless.text.contains("hashes only"), "{keyless:?}");
    let mode = fs::metadata(&audited.log).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_done_to_it_is_found() {
    let mut audited = Audited::start(&[]).await;
    for _ in 0..4 {
        let id = audited.real.create_id();
        audited.delete(&id, "");
    }
    audited.wait_for("deletions", |audited| audited.of("session_deleted").len() == 4);
    let running = audited.verify();
    assert!(running.is_whole(), "while the daemon runs: {running:?}");
    audited.real.terminate();
    let good = audited.lines();
    let after = |alter: &dyn Fn(&mut Vec<String>)| {
        let mut lines = good.clone();
        alter(&mut lines);
        audited.write(&lines);
        (audited.verify(), audited.verify_without_key())
    };
    let both = |(keyed, keyless): (Verdict, Verdict), line: usize, reason: &str| {
        assert!(keyed.is_broken(line, reason), "{reason}: {keyed:?}");
        assert!(keyless.is_broken(line, reason), "{reason}: {keyless:?}");
    };
    both(
        after(&|lines| lines[2] = lines[2].replace("\"confirmed\":true", "\"confirmed\":false")),
        3,
        "was changed",
    );
    both(after(&|lines| lines[2] = lines[2].replace(DOMAIN, "content.rke.tes7")), 3, "was changed");
    both(after(&|lines| drop(lines.remove(3))), 4, "line number 4 is missing");
    both(after(&|lines| lines.insert(3, lines[2].clone())), 4, "moved or repeated");
    both(after(&|lines| lines.swap(3, 4)), 5, "moved or repeated");
    both(after(&|lines| lines.insert(3, "nothing".into())), 4, "is not a line");
    both(after(&|lines| drop(lines.drain(..2))), 1, "lines before it were removed");
    let (keyed, keyless) = after(&|lines| lines.truncate(6));
    assert!(keyed.is_broken(6, "missing after it"), "{keyed:?}");
    assert!(keyless.is_whole() && keyless.text.contains("cut at its end, would pass"), "{keyless:?}");
    let (whole, _) = after(&|_| ());
    assert!(whole.is_whole(), "{whole:?}");
    let foreign = Audited::start(&[]).await;
    let (log, key) = (audited.log.to_str().expect("UTF-8"), foreign.real.data_dir());
    let verdict = audited.rke(&["audit", "verify", log, "--data-dir", key.to_str().expect("UTF-8")]);
    assert!(verdict.is_broken(1, "is not of this data directory"), "{verdict:?}");
    assert!(verdict.text.starts_with("Not one line is sealed with the key in "), "{verdict:?}");
    for arguments in
        [&["audit", "verify", "/nowhere"][..], &["audit", "verify", log, "--data-dir", "/nowhere"]]
    {
        let verdict = audited.rke(arguments);
        assert!(verdict.code == Some(2) && verdict.text.contains("/nowhere"), "{verdict:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_goes_on_after_the_daemon_was_killed() {
    let mut audited = Audited::start(&[]).await;
    audited.real.create_id();
    audited.wait_for("session", |audited| !audited.of("session_created").is_empty());
    audited.kill_and_restart();
    assert!(audited.verify().is_whole());
    audited.real.kill();
    let mut file = fs::OpenOptions::new().append(true).open(&audited.log).expect("opened");
    file.write_all(b"{\"n\":99,\"time\":\"2026-").expect("written");
    let torn = audited.verify();
    assert!(torn.is_broken(audited.lines().len(), "in the middle of it"), "{torn:?}");
    audited.kill_and_restart();
    audited.real.create_id();
    audited.wait_for("session", |audited| audited.of("session_created").len() == 2);
    audited.real.terminate();
    let started =
        ["file_begun", "daemon_started", "session_created", "daemon_started", "line_torn", "daemon_started"];
    assert_eq!(audited.names()[..6], started);
    let verdict = audited.verify();
    assert!(verdict.is_whole() && verdict.text.contains("1 line was torn"), "{verdict:?}");
    assert!(audited.verify_without_key().is_whole());
    audited.write(&audited.lines()[..4]);
    audited.kill_and_restart();
    assert!(audited.real.log().contains("the audit log was CUT"), "{}", audited.real.log());
    audited.real.terminate();
    assert!(audited.verify().is_broken(5, "missing before it"), "{:?}", audited.verify());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_cannot_be_written_is_reported_and_the_daemon_goes_on() {
    let audited = Audited::start(&[]).await;
    let (real, id) = (&audited.real, audited.real.create_id());
    audited.wait_for("session", |audited| !audited.of("session_created").is_empty());
    // As on a full disk: only a part of the next line fits.
    let full = fs::metadata(&audited.log).expect("metadata").len() + 100;
    let limit = |bytes| {
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(Pid::from_raw(real.process() as i32), Resource::Fsize, limit).expect("a limit");
    };
    limit(Some(full));
    for _ in 0..3 {
        audited.delete(&real.create_id(), "");
    }
    let failures = || {
        let metrics = real.get("/metrics").body;
        let line = metrics.lines().find(|line| line.starts_with("rke_audit_write_failures_total"));
        line.and_then(|line| line.split(' ').nth(1)?.parse::<u64>().ok()).expect("a count")
    };
    // Each session is opened, deleted here, and deleted at the Content Server.
    audited.wait_for("failures", |_| failures() == 9);
    let unready = real.get("/health/ready");
    assert_eq!(
        (unready.status, &unready.json()["reasons"][0]),
        (503, &"the audit log cannot be written".into())
    );
    assert!(real.lives(&id) && real.log().contains("events are LOST"), "{}", real.log());
    limit(None);
    audited.wait_for("recovery", |audited| !audited.of("lines_lost").is_empty());
    audited.wait_for("readiness", |_| real.get("/health/ready").status == 200);
    assert_eq!(audited.of("lines_lost")[0]["count"], 9);
    audited.wait_for("copy of the last line", |audited| audited.verify().is_whole());
    assert!(audited.verify().text.contains("9 events without a line"), "{:?}", audited.verify());
    assert_eq!((failures(), audited.of("line_torn").len()), (9, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sighup_takes_it_up_anew_and_all_its_files_are_one_chain() {
    let mut audited = Audited::start(&[]).await;
    audited.real.create_id();
    audited.wait_for("session", |audited| !audited.of("session_created").is_empty());
    let old = audited.log.with_extension("old");
    fs::rename(&audited.log, &old).expect("moved");
    audited.real.create_id();
    audited.real.signal(Signal::HUP);
    audited.wait_for("new file", |audited| audited.log.exists() && audited.names() == ["file_begun"]);
    audited.real.create_id();
    audited.real.terminate();
    // A stop waits for the Content Server only briefly.
    let last = audited.events().pop().expect("a line");
    let confirmed = last["remote_deletions"]["confirmed"].as_u64().expect("a count") as usize;
    assert_eq!(last["remote_deletions"]["pending"], 3 - confirmed, "{last}");
    let wiped = vec!["remote_deletion_confirmed"; confirmed];
    assert_eq!(
        audited.names(),
        [&["file_begun", "session_created"], &wiped[..], &["daemon_stopped"]].concat()
    );
    let (old, lines) = (old.to_str().expect("UTF-8"), 8 + confirmed);
    let (log, data_dir) = (audited.log.to_str().expect("UTF-8"), audited.real.data_dir());
    let key = ["--data-dir", data_dir.to_str().expect("UTF-8")];
    let both = audited.rke(&[&["audit", "verify", old, log], &key[..]].concat());
    assert!(
        both.is_whole() && both.text.contains(&format!("{lines} lines, up to number {lines}")),
        "{both:?}"
    );
    assert!(audited.verify().is_whole() && audited.verify().text.contains("in earlier files"));
    let first = audited.rke(&[&["audit", "verify", old], &key[..]].concat());
    assert!(first.is_whole() && first.text.contains("in later files"), "{first:?}");
    let turned = audited.rke(&[&["audit", "verify", log, old], &key[..]].concat());
    assert!(turned.is_broken(1, "moved or repeated"), "{turned:?}");
    assert!(turned.text.starts_with("The files may be in the wrong order"), "{turned:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_flag_there_is_none_and_a_bad_path_is_refused() {
    let mut real = Real::start(&[]).await;
    real.create_id();
    real.terminate();
    assert!(!real.data_dir().join("audit.head").exists());
    let data_dir = real.data_dir();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
    command.args(["serve", "--listen", "127.0.0.1:0", "--audit-log", "/nowhere/audit.log", "--data-dir"]);
    let verdict = Verdict::new(&command.arg(data_dir).output().expect("rke runs"));
    assert!(verdict.code == Some(1) && verdict.text.contains("--audit-log"), "{verdict:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_tells_which_keys_have_left_and_for_what() {
    let audited = Audited::start(&["--allow-export", "vpn*"]).await;
    let id = audited.real.create_id();
    let export = |label: &str| {
        let body = format!(r#"{{"session_id":"{id}","label":"{label}","length":32}}"#);
        let head = "POST /api/rke/export HTTP/1.1\r\nhost: localhost\r\nconnection: close";
        let len = body.len();
        audited
            .real
            .send(format!("{head}\r\ncontent-type: application/json\r\ncontent-length: {len}\r\n\r\n{body}"))
    };
    assert_eq!(export("mail").status, 403);
    let exported = export("vpn: to the office").json();
    audited.wait_for("export", |audited| !audited.of("keys_exported").is_empty());
    let events = audited.of("keys_exported");
    assert_eq!(events.len(), 1, "what was refused has not left");
    let event = &events[0];
    assert_eq!(
        (&event["domain"], &event["label"], &event["count"]),
        (&DOMAIN.into(), &"vpn: to the office".into(), &1.into())
    );
    let text = audited.lines().concat();
    assert!(!text.contains(exported["key"].as_str().expect("a key")) && !text.contains(&id));
}
