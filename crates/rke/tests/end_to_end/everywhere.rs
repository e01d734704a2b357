//! Deletion at both ends: however a session ends, the Content Server no longer has its key.

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rke_daemon::Daemon;
use rke_engine::Domain;
use rke_raida::dns::DnsServer;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::real::{Real, request_with};
use crate::support::{Answer, DOMAIN, PATIENCE, again_blocking, config, get, network, request};

/// How long the daemon waits for the other end.
const WAIT: Duration = Duration::from_secs(5);

fn delete(real: &Real, id: &str, query: &str) -> Answer {
    real.send(request_with("DELETE", &format!("/api/rke/session/{id}{query}"), "host: localhost"))
}

fn counts(real: &Real) -> Value {
    real.get("/api/rke/status").json()["remote_deletions"].clone()
}

fn metric(real: &Real, name: &str) -> String {
    let metrics = real.get("/metrics").body;
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    value.unwrap_or_else(|| panic!("no {name}: {metrics}")).to_owned()
}

pub(crate) fn until(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn pending_lines(real: &Real) -> Vec<String> {
    let text = fs::read_to_string(real.data_dir().join("pending-deletions")).expect("a file");
    text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
}

/// Deletes a session everywhere, next to one that stays, until the response comes before the daemon stops waiting for
/// the other end. Returns the session's id and the response.
fn deleted_everywhere(real: &Real, created: &mut usize, delete: &dyn Fn(&str) -> Answer) -> (String, Answer) {
    again_blocking(|| {
        let id = real.create_id();
        *created += 1;
        assert_eq!(real.network.content_server_keys(), 2);
        let deleted = delete(&id);
        if deleted.status == 200 && deleted.json()["remote"] == "pending" {
            until("the key is gone there", || counts(real)["pending"] == 0);
            return Err(deleted.body);
        }
        assert_eq!(real.network.content_server_keys(), 1);
        Ok((id, deleted))
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_deleted_everywhere_is_gone_at_the_content_server_too() {
    let real = Real::start(&[]).await;
    let kept = real.create_id();
    let mut created = 0;
    let mut forgotten = |delete: &dyn Fn(&str) -> Answer| deleted_everywhere(&real, &mut created, delete);
    let body = |id: &str| {
        format!(
            r#"{{"command":"rke_session_delete","success":true,"session_id":"{id}","remote":"forgotten"}}"#
        )
    };
    let (id, deleted) = forgotten(&|id| delete(&real, id, "?everywhere=true"));
    assert_eq!((deleted.status, deleted.body), (200, body(&id)));
    let documented = |id: &str| real.get(&format!("/api/rke/session/delete?session_id={id}&everywhere=true"));
    let (id, deleted) = forgotten(&documented);
    assert_eq!((deleted.status, deleted.body), (200, body(&id)));
    let verified = "/api/rke/session/delete?everywhere=true&verify=true&session_id=";
    let (_, both) = forgotten(&|id| real.get(&format!("{verified}{id}")));
    let (wipe, remote) = (both.body.find("\"wipe\":{"), both.body.find("\"remote\":\"forgotten\"}"));
    assert!(wipe.is_some() && wipe < remote, "{both:?}");
    assert!(real.lives(&kept));
    assert_eq!(counts(&real), json!({"pending": 0, "confirmed": created}));
    let metrics = ["rke_remote_deletions_pending", "rke_remote_deletions_confirmed_total"];
    assert_eq!(metrics.map(|name| metric(&real, name)), ["0".to_owned(), created.to_string()]);
    let again = delete(&real, &id, "?everywhere=true");
    assert_eq!((again.status, &again.json()["remote"]), (404, &Value::Null));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_parameter_the_answer_is_the_documented_one_and_comes_at_once() {
    let mut real = Real::start(&[]).await;
    let ids: Vec<String> = (0..16).map(|_| real.create_id()).collect();
    real.network.stop_content_server().await;
    let began = Instant::now();
    for two in ids.chunks_exact(2) {
        for (id, deleted) in [
            (&two[0], delete(&real, &two[0], "?everywhere=false")),
            (&two[1], real.get(&format!("/api/rke/session/delete?session_id={}", two[1]))),
        ] {
            let body = format!(r#"{{"command":"rke_session_delete","success":true,"session_id":"{id}"}}"#);
            assert_eq!(deleted.body, body);
        }
    }
    // All of them would wait for longer than any pause of a busy machine.
    assert!(began.elapsed() < WAIT * 15, "{:?}", began.elapsed());
    assert_eq!(counts(&real), json!({"pending": 16, "confirmed": 0}));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_parameter_is_a_switch_of_single_deletions() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    for query in ["?everywhere=yes", "?everywhere", "?everywhere=true&everywhere=true"] {
        let refused = delete(&real, &id, query);
        assert!(refused.status == 400 && refused.body.contains("'everywhere'"), "{query}: {refused:?}");
    }
    let all = real.send(request_with("DELETE", "/api/rke/sessions?everywhere=true", "host: localhost"));
    assert_eq!(all.status, 400, "{all:?}");
    assert!(real.lives(&id), "nothing was deleted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_a_session_ends_the_content_server_has_its_key_no_longer() {
    let mut real = Real::start(&[]).await;
    let gone = |real: &Real, what: &str| {
        until(what, || real.network.content_server_keys() == 0 && counts(real)["pending"] == 0);
    };
    let id = real.create_id();
    assert_eq!(delete(&real, &id, "").status, 200);
    gone(&real, "deletion");
    real.create_id();
    real.create_id();
    let path = format!("/api/rke/sessions?domain={DOMAIN}");
    assert_eq!(real.send(request_with("DELETE", &path, "host: localhost")).json()["deleted"], 2);
    gone(&real, "deletion of all");
    real.create_id();
    real.configure("session-idle = 1\n");
    gone(&real, "expiry");
    real.configure("");
    assert_eq!(counts(&real), json!({"pending": 0, "confirmed": 4}));
    real.create_id();
    real.signal(Signal::USR1);
    gone(&real, "signal");
    until("a key, and what the cache had", || counts(&real)["confirmed"] == 6);
    again_blocking(|| {
        real.create_id();
        assert_eq!(real.network.content_server_keys(), 1);
        real.terminate();
        if real.network.content_server_keys() == 0 {
            return Ok(());
        }
        // A stop waits for the Content Server only briefly, and the next start goes on.
        real.kill_and_restart(&[]);
        gone(&real, "stop");
        Err("no stop has deleted the key".into())
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_server_that_is_away_leaves_it_pending_and_holds_up_no_later_one() {
    let mut real = Real::start(&[]).await;
    let first = real.create_id();
    let shown = real.get(&format!("/api/rke/session/{first}")).json();
    let key_id = shown["key_id"].as_str().expect("a key id");
    real.network.stop_content_server().await;
    let began = Instant::now();
    let deleted = delete(&real, &first, "?everywhere=true");
    assert_eq!((deleted.status, &deleted.json()["remote"]), (200, &"pending".into()));
    assert!(began.elapsed() >= WAIT && began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    assert_eq!((counts(&real), real.lives(&first)), (json!({"pending": 1, "confirmed": 0}), false));
    // The Content Server has restarted without the key, so it cannot prove that it wiped the key.
    real.network.restart_content_server().await.expect("a Content Server");
    let mut created = 0;
    again_blocking(|| {
        let later = real.create_id();
        created += 1;
        let deleted = delete(&real, &later, "?everywhere=true").body;
        if deleted.contains("forgotten") { Ok(()) } else { Err(deleted) }
    });
    until("all others are gone", || counts(&real) == json!({"pending": 1, "confirmed": created}));
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(counts(&real), json!({"pending": 1, "confirmed": created}));
    let lines = pending_lines(&real);
    assert!(lines[0].starts_with(key_id) && lines[0].split(' ').count() == 6, "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_session_of_8_bits_nothing_can_be_wiped_there() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    let records = network.add_narrow_key_set().await.expect("a key set");
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let dns = DnsServer::start(loopback, [&records], loopback.ip()).await.expect("a DNS server");
    let mut config = config(&dir, dns.address());
    config.reloadable.allow_weak_shares = vec![Domain::new(DOMAIN).expect("a domain")];
    let daemon = Daemon::start(config).await.expect("a daemon");
    let wallet = network.wallet().display().to_string();
    let create = format!("/api/rke/session?domain={DOMAIN}&wallet_path={wallet}");
    let created = get(daemon.address(), &create).await;
    let id = created.json()["session_id"].as_str().unwrap_or_else(|| panic!("{created:?}")).to_owned();
    let path = format!("/api/rke/session/{id}?everywhere=true");
    let deleted = request(daemon.address(), "DELETE", &path).await;
    assert_eq!((deleted.status, &deleted.json()["remote"]), (200, &"unsupported".into()), "{deleted:?}");
    let status = get(daemon.address(), "/api/rke/status").await.json();
    assert_eq!(status["remote_deletions"], json!({"pending": 0, "confirmed": 0}));
    assert!(!dir.path().join("daemon/pending-deletions").exists());
    daemon.stop().await;
    dns.stop().await;
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_daemon_goes_on_with_what_is_pending() {
    let mut real = Real::start(&[]).await;
    for _ in 0..5 {
        let id = real.create_id();
        assert_eq!(delete(&real, &id, "").status, 200);
        real.kill_and_restart(&[]);
        let gone = || real.network.content_server_keys() == 0 && counts(&real)["pending"] == 0;
        until("the key is gone at the Content Server", gone);
    }
    let id = real.create_id();
    real.network.stop_content_server().await;
    assert_eq!(delete(&real, &id, "").status, 200);
    for _ in 0..2 {
        real.kill_and_restart(&[]);
        assert_eq!(counts(&real), json!({"pending": 1, "confirmed": 0}));
    }
    real.network.restart_content_server().await.expect("a Content Server");
    until("it is refused", || real.log().contains("it does not know that key"));
    assert_eq!(counts(&real)["pending"], 1, "a refusal confirms nothing");
    real.terminate();
    real.kill_and_restart(&[]);
    assert_eq!(counts(&real)["pending"], 1, "it stays in the file after a stop too");
}
