//! Keys by ETSI GS QKD 014: the same at both ends, whichever of them asks first, each handed out once, and to nobody else.

pub(crate) mod certificates;
mod foreign;
mod replaced;

use std::net::SocketAddr;

use rke_daemon::{EtsiClient, EtsiListen, EtsiListener, EtsiPeer, EtsiServer, SaeIdentity};
use rke_engine::Domain;
use rke_proto::export::etsi::SaeId;
use serde_json::{Value, json};

use crate::console::{console_of, go};
use crate::support::{Answer, DOMAIN, Stage, again, raw, request};

fn sae(text: &str) -> SaeId {
    SaeId::new(text).expect("an SAE ID")
}

async fn listen(identity: SaeIdentity) -> EtsiListener {
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    EtsiListener::bind(&EtsiListen { address, identity }).await.expect("a port")
}

/// An SAE at the Content Server of the stage.
fn peer(stage: &Stage, name: &str) -> EtsiPeer {
    let domain = Domain::new(DOMAIN).expect("a domain");
    EtsiPeer { sae: sae(name), domain, wallet: stage.network.wallet().into() }
}

/// Lets the daemon share keys with one SAE.
pub(crate) async fn share_keys(stage: &mut Stage) {
    let (here, peer) = (listen(SaeIdentity::Only(sae("alice"))).await, peer(stage, "bob"));
    stage.daemon.serve_etsi(here, &[peer]);
}

/// A daemon for the SAE `alice`, and a Content Server for the SAE `bob`.
struct Keys {
    stage: Stage,
    there: EtsiServer,
    alice: SocketAddr,
    bob: SocketAddr,
}

impl Keys {
    async fn new() -> Self {
        let [alice, bob] = ["alice", "bob"].map(|name| SaeIdentity::Only(sae(name)));
        Self::with(Stage::new().await, [alice, bob]).await
    }

    async fn with(mut stage: Stage, [here, there]: [SaeIdentity; 2]) -> Self {
        let (here, there) = (listen(here).await, listen(there).await);
        let (alice, bob) = (here.address(), there.address());
        let keys = stage.network.session_keys().expect("a Content Server");
        let coin = "0:1001".parse().expect("a coin");
        let clients = ["alice", "bob"].map(|name| EtsiClient { coin, sae: sae(name) });
        let there = EtsiServer::at_content_server(there, keys, &clients);
        // Each SAE may be the peer of the other, and of itself.
        let peers = ["alice", "bob"].map(|name| peer(&stage, name));
        stage.daemon.serve_etsi(here, &peers);
        // Nobody has asked for it.
        again(async || match stage.network.content_server_keys() {
            0 => Err("no session".into()),
            _ => Ok(()),
        })
        .await;
        Self { stage, there, alice, bob }
    }

    async fn stop(self) {
        self.there.stop().await;
        self.stage.stop().await;
    }
}

async fn ask(address: SocketAddr, target: &str) -> Answer {
    request(address, "GET", &format!("/api/v1/keys/{target}")).await
}

async fn post(address: SocketAddr, target: &str, body: &Value) -> Answer {
    let body = body.to_string();
    let head = format!("POST /api/v1/keys/{target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    raw(address, format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await
}

/// The keys of a response.
fn keys(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let keys = answer.json()["keys"].as_array().expect("keys").clone();
    for key in &keys {
        let fields: Vec<&String> = key.as_object().expect("a key").keys().collect();
        assert_eq!(fields, ["key_ID", "key"], "nothing else");
    }
    keys
}

/// The message of an error container.
fn refusal(answer: &Answer, status: u16) -> String {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (status, Some("application/json")),
        "{answer:?}"
    );
    answer.json()["message"].as_str().expect("a message").to_owned()
}

/// The keys with these ids, in one request.
fn ids(keys: &[Value]) -> Value {
    let ids: Vec<Value> = keys.iter().map(|key| json!({"key_ID": key["key_ID"]})).collect();
    json!({"key_IDs": ids})
}

/// Keys that one end makes are those that the other end gives for their ids.
async fn check(from: (SocketAddr, &str), to: (SocketAddr, &str)) {
    for (bits, number) in [(128, 1), (256, 1), (264, 2), (512, 128)] {
        let wanted = json!({"number": number, "size": bits, "extension_optional": [{"any": 1}]});
        let made = keys(&post(from.0, &format!("{}/enc_keys", to.1), &wanted).await);
        assert_eq!(made.len(), number);
        let encoded_len = (bits / 8_usize).div_ceil(3) * 4;
        assert!(made.iter().all(|key| key["key"].as_str().is_some_and(|key| key.len() == encoded_len)));
        let fetched = keys(&post(to.0, &format!("{}/dec_keys", from.1), &ids(&made)).await);
        assert_eq!(fetched, made);
        let again = post(to.0, &format!("{}/dec_keys", from.1), &ids(&made)).await;
        assert_eq!(refusal(&again, 400), "one or more keys specified are not found on KME");
    }
    let made = keys(&ask(from.0, &format!("{}/enc_keys?key_length=512", to.1)).await);
    let id = made[0]["key_ID"].as_str().expect("an id");
    let fetched = keys(&ask(to.0, &format!("{}/dec_keys?key_ID={}", from.1, id.to_uppercase())).await);
    assert_eq!(fetched, made);
}

#[tokio::test(flavor = "multi_thread")]
async fn either_end_makes_keys_and_the_other_has_them_without_a_message() {
    let keys = Keys::new().await;
    let (alice, bob) = ((keys.alice, "alice"), (keys.bob, "bob"));
    check(alice, bob).await;
    check(bob, alice).await;
    // With itself, as a probe does.
    check(alice, alice).await;
    let metrics = keys.stage.get("/metrics").await.body;
    let exported = metrics.lines().find_map(|line| line.strip_prefix("rke_exports_total "));
    // Made and fetched by alice: 133 with bob in each direction, 266 with itself.
    assert_eq!(exported, Some("532"), "{metrics}");
    keys.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_says_how_many_keys_are_ready() {
    let keys = Keys::new().await;
    let status = ask(keys.alice, "bob/status").await;
    let expected = json!({
        "source_KME_ID": "0:1001", "target_KME_ID": DOMAIN, "master_SAE_ID": "alice", "slave_SAE_ID": "bob",
        "key_size": 256, "stored_key_count": 65_536, "max_key_count": 65_536, "max_key_per_request": 128,
        "max_key_size": 512, "min_key_size": 128, "max_SAE_ID_count": 0,
    });
    assert_eq!(status.json(), expected);
    ask(keys.alice, "bob/enc_keys?number=36").await;
    assert_eq!(ask(keys.alice, "bob/status").await.json()["stored_key_count"], 65_500);
    let there = ask(keys.bob, "alice/status").await.json();
    assert_eq!((&there["source_KME_ID"], &there["target_KME_ID"]), (&json!(DOMAIN), &json!("0:1001")));
    assert_eq!((&there["master_SAE_ID"], &there["slave_SAE_ID"]), (&json!("bob"), &json!("alice")));
    keys.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_lists_the_peers_and_how_many_keys_are_ready_for_each() {
    let keys = Keys::new().await;
    let row = |sae: &str, ready: u32| json!({"sae_id": sae, "domain": DOMAIN, "keys_ready": ready});
    again(async || {
        let status = keys.stage.get("/api/rke/status").await.json();
        let are_ready = status["etsi_peers"] == json!([row("alice", 65_536), row("bob", 65_536)]);
        are_ready.then_some(()).ok_or_else(|| status.to_string())
    })
    .await;
    ask(keys.alice, "bob/enc_keys?number=36").await;
    let status = keys.stage.get("/api/rke/status").await.json();
    assert_eq!(status["etsi_peers"][1], row("bob", 65_500));
    let mut browser = console_of(keys.stage.daemon.address());
    go(&mut browser, "security");
    browser.until_text("#peers-facts", &format!("bob at {DOMAIN}"));
    browser.until_text("#peers-facts", "65,500 keys ready");
    keys.stop().await;
    let without = Stage::new().await;
    assert_eq!(without.get("/api/rke/status").await.json()["etsi_peers"], json!([]));
    let mut browser = console_of(without.daemon.address());
    go(&mut browser, "security");
    browser.until_text("#memory-facts", "No label");
    browser.until("!document.querySelector('#peers').checkVisibility()");
    without.stop().await;
}

/// Headers of requests that no program on this machine sends, and how they are refused.
const PAGES: [(&str, u16, &str); 7] = [
    ("", 400, "one Host header"),
    ("host: evil.example\r\n", 421, "for programs on this machine"),
    ("host: 0x7f000001\r\n", 421, "for programs on this machine"),
    ("host: localhost\r\norigin: http://localhost:3000\r\n", 403, "Web pages may not"),
    ("host: localhost\r\nreferer: http://evil.example/a\r\n", 403, "Web pages may not"),
    ("host: localhost\r\nsec-fetch-site: cross-site\r\n", 403, "Web pages may not"),
    ("host: localhost\r\nsec-purpose: prefetch\r\n", 403, "Prefetching"),
];

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_not_for_an_sae_is_refused_in_the_form_of_the_standard() {
    let both = Keys::new().await;
    keys(&ask(both.alice, "bob/enc_keys").await);
    for address in [both.alice, both.bob] {
        let is_bad = async |target: &str, body: Option<Value>, part: &str| {
            let answer = match body {
                Some(body) => post(address, target, &body).await,
                None => ask(address, target).await,
            };
            let message = refusal(&answer, 400);
            assert!(message.contains(part), "{target}: {message}");
        };
        is_bad("alice/enc_keys?size=257", None, "size shall be a multiple of 8").await;
        is_bad("alice/enc_keys?size=1024", None, "128 to 512 bits").await;
        is_bad("alice/enc_keys?number=129", None, "1 to 128").await;
        let several = json!({"additional_slave_SAE_IDs": ["carol"]});
        is_bad("alice/enc_keys", Some(several), "additional_slave_SAE_IDs are not supported").await;
        let mandatory = json!({"extension_mandatory": [{"route": "direct"}]});
        is_bad("alice/enc_keys", Some(mandatory), "not all extension_mandatory parameters").await;
        let unknown = "alice/dec_keys?key_ID=20010203-0405-8007-b1e2-d3c4b5a69788";
        is_bad(unknown, None, "not found on KME").await;
        // A foreign SAE.
        for target in
            ["carol/status", "carol/enc_keys", "carol/dec_keys?key_ID=20010203-0405-8007-b1e2-d3c4b5a69788"]
        {
            assert!(refusal(&ask(address, target).await, 401).contains("shares no keys"), "{target}");
        }
        for (headers, status, part) in PAGES {
            let page =
                format!("GET /api/v1/keys/alice/enc_keys HTTP/1.1\r\n{headers}connection: close\r\n\r\n");
            let message = refusal(&raw(address, page).await, status);
            assert!(message.contains(part), "{headers}: {message}");
        }
        let long = json!({"extension_optional": ["a".repeat(64 * 1024)]});
        assert!(refusal(&post(address, "alice/enc_keys", &long).await, 413).contains("over 64 KiB"));
        assert_eq!(request(address, "GET", "/api/rke/status").await.status, 404);
        assert_eq!(request(address, "DELETE", "/api/v1/keys/alice/status").await.status, 405);
    }
    both.stop().await;
}

/// The ids of the daemon's sessions.
async fn sessions(stage: &Stage) -> Vec<String> {
    let listed = stage.get("/api/rke/sessions").await.json();
    let id = |row: &Value| row["session_id"].as_str().expect("an id").to_owned();
    listed["sessions"].as_array().expect("sessions").iter().map(id).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keys_of_a_deleted_session_are_gone_at_both_ends_and_another_session_takes_its_place() {
    let both = Keys::new().await;
    let made = keys(&ask(both.alice, "bob/enc_keys").await);
    let from_there = keys(&ask(both.bob, "alice/enc_keys").await);
    for id in sessions(&both.stage).await {
        let path = format!("/api/rke/session/{id}?everywhere=true");
        let deleted = request(both.stage.daemon.address(), "DELETE", &path).await;
        assert_eq!(deleted.json()["remote"], "forgotten", "{deleted:?}");
    }
    refusal(&post(both.bob, "alice/dec_keys", &ids(&made)).await, 400);
    refusal(&post(both.alice, "bob/dec_keys", &ids(&from_there)).await, 400);
    // By itself: no SAE of the daemon asks for anything.
    again(async || match ask(both.bob, "alice/enc_keys").await.status {
        200 => Ok(()),
        status => Err(format!("no session: {status}")),
    })
    .await;
    check((both.bob, "bob"), (both.alice, "alice")).await;
    both.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_session_there_are_no_keys_at_the_moment() {
    let mut both = Keys::new().await;
    keys(&ask(both.alice, "bob/enc_keys").await);
    both.stage.network.stop_content_server().await;
    assert!(refusal(&ask(both.bob, "alice/status").await, 503).contains("no session"));
    for id in sessions(&both.stage).await {
        request(both.stage.daemon.address(), "DELETE", &format!("/api/rke/session/{id}")).await;
    }
    for _ in 0..10 {
        assert!(refusal(&ask(both.alice, "bob/enc_keys").await, 503).contains("no session"));
    }
    // However often SAEs ask, the Content Server is not.
    let activity = both.stage.get("/api/rke/activity").await.json();
    let events = activity["events"].as_array().expect("events").iter();
    let refused = events.filter(|event| event["event"] == "session_refused").count();
    assert!((1..5).contains(&refused), "{activity}");
    both.stop().await;
}
