//! How sessions and keys end, and how long they last: deletion by path, of all sessions, of a domain; idle time-out,
//! renewal, limits of use, and the signal that drops everything.

use std::io::Write;
use std::net::UdpSocket;
use std::time::Duration;

use rke_proto::RaidaIndex;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::everywhere::until;
use crate::real::{Real, read_to_end, request_with};
use crate::support::{Answer, DOMAIN, PATIENCE, again_blocking};
use crate::wire::post_json;

fn request(real: &Real, method: &str, target: &str) -> Answer {
    real.send(request_with(method, target, "host: localhost"))
}

fn encrypt(real: &Real, id: &str) -> Answer {
    real.get(&format!("/api/rke/encrypt?session_id={id}&plaintext=SGVsbG8="))
}

fn totals(real: &Real) -> (Value, Value) {
    let status = real.get("/api/rke/status").json();
    (status["sessions"]["total"].clone(), status["keystore"]["total"].clone())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn delete_by_path_answers_as_the_documented_deletion_does() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let path = format!("/api/rke/session/{id}");
    let deleted = request(&real, "DELETE", &path);
    assert_eq!(
        deleted.body,
        format!(r#"{{"command":"rke_session_delete","success":true,"session_id":"{id}"}}"#)
    );
    let again = request(&real, "DELETE", &path);
    assert_eq!((again.status, &again.json()["message"]), (404, &"Session not found".into()));
    assert_eq!(encrypt(&real, &id).status, 404);
    let other = real.create_id();
    let receipt = request(&real, "DELETE", &format!("/api/rke/session/{other}?verify=true&forget=true"));
    assert_eq!(receipt.json()["wipe"]["hits"], 0, "{receipt:?}");
    assert_eq!(totals(&real), (json!(0), json!(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_opened_by_post_as_by_get() {
    let real = Real::start(&[]).await;
    let body = json!({"domain": DOMAIN, "wallet_path": real.network.wallet()});
    let created = post_json(real.address, "session", &body).await;
    assert_eq!((created.status, &created.json()["command"]), (200, &"rke_session_create".into()));
    assert!(real.lives(created.json()["session_id"].as_str().expect("an id")));
    let cached = post_json(real.address, "session", &body).await.json();
    assert_eq!(cached["from_cache"], true);
    let mut fresh = body.clone();
    fresh["fresh"] = true.into();
    assert_eq!(post_json(real.address, "session", &fresh).await.json()["from_cache"], false);
    for (wrong, message) in [
        (json!({"domain": DOMAIN}), "Missing 'wallet_path' parameter"),
        (json!({"wallet_path": "/w"}), "Missing 'domain' parameter"),
        (json!({"domain": "..", "wallet_path": "/w"}), "Missing or invalid 'domain' parameter"),
        (json!({"domain": DOMAIN, "wallet_path": "/w", "fresh": "yes"}), "each of its type"),
        (json!({"domain": DOMAIN, "wallet_path": "/w", "frsh": true}), "each of its type"),
    ] {
        let refusal = post_json(real.address, "session", &wrong).await.refusal(400);
        assert!(refusal.contains(message), "{wrong}: {refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_sessions_of_a_domain_or_all_there_are_end_at_once() {
    let real = Real::start(&[]).await;
    let ids = [real.create_id(), real.create_id(), real.create_id()];
    let none = request(&real, "DELETE", "/api/rke/sessions?domain=other.test");
    assert_eq!(none.body, r#"{"command":"rke_sessions_delete","success":true,"deleted":0}"#);
    for misspelt in ["sessions?domian=other.test", "sessions?session_id=x", "keys?domian=other.test"] {
        let refused = request(&real, "DELETE", &format!("/api/rke/{misspelt}"));
        assert!(
            refused.status == 400 && refused.body.contains("Unknown parameter"),
            "{misspelt}: {refused:?}"
        );
    }
    assert!(ids.iter().all(|id| real.lives(id)));
    let of_domain = request(&real, "DELETE", &format!("/api/rke/sessions?domain={DOMAIN}"));
    assert_eq!(of_domain.json()["deleted"], 3);
    assert!(!ids.iter().any(|id| real.lives(id)));
    assert_eq!(totals(&real), (json!(0), json!(1)), "the cached key stays");
    real.create_id();
    let all = request(&real, "DELETE", "/api/rke/sessions?forget=true");
    assert_eq!(all.json()["deleted"], 1);
    assert_eq!(totals(&real), (json!(0), json!(0)));
    for target in ["/api/rke/sessions?domain=-", "/api/rke/sessions?forget=yes", "/api/rke/keys?domain=-"] {
        assert_eq!(request(&real, "DELETE", target).status, 400, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cached_keys_are_listed_and_forgotten() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let keys = real.get("/api/rke/keys").json();
    assert_eq!((&keys["command"], &keys["total"]), (&"rke_keys".into(), &1.into()));
    let key = &keys["keys"][0];
    assert_eq!((&key["domain"], &key["key_bits"]), (&DOMAIN.into(), &256.into()));
    assert_eq!(key["cs_id"], "CONTENT-SERVER01");
    assert_eq!(key["coins"], json!(["0:1001", "0:1002"]));
    assert!(key["expires_at"].as_str().is_some_and(|at| at.ends_with('Z')), "{key}");
    assert_eq!(request(&real, "DELETE", "/api/rke/keys?domain=other.test").json()["deleted"], 0);
    let forgotten = request(&real, "DELETE", &format!("/api/rke/keys?domain={DOMAIN}"));
    assert_eq!(forgotten.body, r#"{"command":"rke_keys_delete","success":true,"deleted":1}"#);
    assert!(real.lives(&id), "an open session goes on");
    assert_eq!(real.get("/api/rke/keys").json()["total"], 0);
    assert_eq!(real.get(&real.create_target()).json()["from_cache"], false);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_renewed_up_to_its_longest_lifetime() {
    let real = Real::start(&[]).await;
    let live_for = |ttl: u32, longest: u32| {
        real.configure(&format!("session-ttl = {ttl}\nsession-max-lifetime = {longest}\n"));
    };
    let renew = |id: &str| request(&real, "POST", &format!("/api/rke/session/{id}/renew"));
    let end = |shown: &Answer| -> jiff::Timestamp {
        shown.json()["expires_at"].as_str().expect("a time").parse().expect("a time")
    };
    live_for(600, 900);
    let id = real.create_id();
    let first = end(&real.get(&format!("/api/rke/session/{id}")));
    std::thread::sleep(Duration::from_millis(2200));
    let renewed = renew(&id);
    assert_eq!((renewed.status, &renewed.json()["session_id"]), (200, &id.as_str().into()));
    assert!(end(&renewed) > first, "{renewed:?} {first}");
    // Without a longest lifetime, it would last for two seconds longer.
    live_for(900, 900);
    let longest = end(&renew(&id)).duration_since(first).as_secs();
    assert!((299..=301).contains(&longest), "{longest} seconds more than {first}");
    assert!(real.lives(&id));
    live_for(1, 1);
    let short = real.create_id();
    until("its end has come", || !real.lives(&short));
    let gone = renew(&short);
    assert_eq!((gone.status, &gone.json()["session_id"]), (404, &short.as_str().into()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_nobody_uses_ends_and_is_swept() {
    let real = Real::start(&[]).await;
    let used = again_blocking(|| {
        let (used, unused) = (real.create_id(), real.create_id());
        std::thread::sleep(Duration::from_millis(1100));
        assert_eq!(encrypt(&real, &used).status, 200);
        real.configure("session-idle = 1\n");
        assert!(!real.lives(&unused), "nobody has used it for longer than a second");
        if totals(&real).0 == 1 && real.lives(&used) {
            return Ok(used);
        }
        // On a busy machine, the last use may be long ago too.
        until("all are swept", || totals(&real).0 == 0);
        real.configure("");
        Err("the session that is used ends too".into())
    });
    until("all are swept", || totals(&real).0 == 0);
    assert_eq!(encrypt(&real, &used).status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_used_up_encrypts_no_more_but_decrypts_and_other_sessions_have_others() {
    let real = Real::start(&["--key-max-messages", "3"]).await;
    let (first, second) = (real.create_id(), real.create_id());
    let encrypted = encrypt(&real, &first).json();
    assert!(encrypt(&real, &first).status == 200 && encrypt(&real, &first).status == 200);
    let refused = encrypt(&real, &first);
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(
        refused.body.contains("open a new session") && refused.body.contains(first.as_str()),
        "{refused:?}"
    );
    let (nonce, ciphertext) = (encrypted["nonce"].as_str(), encrypted["ciphertext"].as_str());
    let target = format!(
        "/api/rke/decrypt?session_id={first}&nonce={}&ciphertext={}",
        nonce.expect("a nonce"),
        ciphertext.expect("a ciphertext")
    );
    assert_eq!(real.get(&target).json()["plaintext"], "SGVsbG8=");
    let next = real.get(&real.create_target()).json();
    assert_eq!(next["from_cache"], true);
    for id in [second.as_str(), next["session_id"].as_str().expect("an id")] {
        assert_eq!(encrypt(&real, id).status, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_is_used_up_by_bytes_too() {
    let real = Real::start(&["--key-max-bytes", "12"]).await;
    let id = real.create_id();
    let statuses: Vec<u16> = (0..3).map(|_| encrypt(&real, &id).status).collect();
    assert_eq!(statuses, [200, 200, 409]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_drops_all_sessions_keys_and_exchanges() {
    let mut real = Real::start(&["--exchange-timeout", "3600"]).await;
    let ids = [real.create_id(), real.create_id()];
    // The next exchange waits for responses that never arrive.
    let (sockets, target) = (silent_nodes(&mut real).await, real.create_target());
    let mut stream = real.connect();
    let create = request_with("GET", &format!("{target}&fresh=true"), "host: localhost");
    stream.write_all(create.as_bytes()).expect("sent");
    sockets[0].recv(&mut [0; 2048]).expect("the exchange has begun");
    real.signal(Signal::USR1);
    until("sessions and keys are gone", || totals(&real) == (json!(0), json!(0)));
    assert!(!ids.iter().any(|id| real.lives(id)));
    let answer = Answer::parse(&read_to_end(&mut stream));
    assert_eq!(answer.status, 503, "{answer:?}");
    let message = "All sessions and keys were dropped while this session was opened; try again";
    assert_eq!(answer.json()["message"], message);
    assert_eq!(totals(&real), (json!(0), json!(0)));
    drop(sockets);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_has_arrived_gives_the_exchange_its_own_time() {
    let mut real = Real::start(&["--body-timeout", "1", "--exchange-timeout", "3"]).await;
    let sockets = silent_nodes(&mut real).await;
    let body = json!({"domain": DOMAIN, "wallet_path": real.network.wallet()});
    let created = post_json(real.address, "session", &body).await;
    assert_eq!(created.status, 503, "{}", String::from_utf8_lossy(&created.body));
    drop(sockets);
}

/// Replaces all nodes by sockets that never respond.
pub(crate) async fn silent_nodes(real: &mut Real) -> Vec<UdpSocket> {
    let (addresses, mut sockets) = (real.network.node_addresses().to_vec(), Vec::new());
    for (raida, address) in RaidaIndex::all().zip(addresses) {
        real.network.stop_node(raida).await;
        // A program that another test is starting at this moment may still hold the node's socket.
        let socket = again_blocking(|| UdpSocket::bind(address).map_err(|error| error.to_string()));
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        sockets.push(socket);
    }
    sockets
}
