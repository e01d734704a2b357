//! The live wire: 1-byte shares in envelope 4, and envelope type 6 to the Content Server. It works where it is
//! allowed, reports that it is weak, and is: anyone who sees the handshake finds the key in 256 tries.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_engine::Domain;
use rke_engine::settings::{Config, Confirm};
use rke_proto::derive;
use rke_proto::tunnel::{HandshakeNonce, PacketHeader};
use rke_proto::{ContentServerId, KeyContext, cipher};
use rke_raida::content_server::ServerConfig;
use rke_raida::network::LocalNetwork;
use rke_shared_store::{Addresses, Deployment, Sharing};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::listener::Listener;
use crate::records::{Detour, moved};
use crate::relay::{Fault, Relays};
use crate::servers::refusing_port;
use crate::shared_store::server::Server;
use crate::support::{DOMAIN, PATIENCE, again, network, network_with, running};
use crate::tunnel::{arguments, rke};
use crate::wire::post;

fn domains() -> Vec<Domain> {
    vec![Domain::new(DOMAIN).expect("a domain")]
}

/// A network with a key set of narrow shares, the only one that DNS names, and a daemon that may use it. DNS names
/// the Content Server at the port that `port` returns for its address.
async fn weak(port: impl AsyncFnOnce(SocketAddr) -> u16, change: impl FnOnce(&mut Config)) -> Detour {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    let mut records = network.add_narrow_key_set().await.expect("a key set");
    records.port = port(network.content_server_address()).await;
    let allow = |config: &mut Config| {
        config.reloadable.allow_weak_shares = domains();
        change(config);
    };
    Detour::on(dir, network, records, allow).await
}

async fn own(server: SocketAddr) -> u16 {
    server.port()
}

async fn nobody(_: SocketAddr) -> u16 {
    refusing_port()
}

/// Checks every sign that a session is weak.
fn check_weak(shown: &Value, confirmed: bool) {
    let expected = json!({
        "key_bits": 8, "envelope": [4], "confirmed": confirmed, "key_id": null, "forward_secret": false,
        "authenticated": "no", "coin": null, "liars": [],
    });
    for (name, value) in expected.as_object().expect("fields") {
        assert_eq!(shown.get(name), Some(value), "{name}: {shown}");
    }
}

fn id(shown: &Value) -> &str {
    shown["session_id"].as_str().expect("an id")
}

#[tokio::test(flavor = "multi_thread")]
async fn narrow_shares_are_refused_unless_the_domain_is_allowed_to() {
    for other in [vec![], vec![Domain::new("other.test").expect("a domain")]] {
        let detour = weak(own, |config| config.reloadable.allow_weak_shares = other).await;
        let refused = detour.create().await;
        assert_eq!(refused.status, 403, "{}", refused.body);
        assert!(refused.body.contains(" offers only weak (1-byte) key shares, "), "{}", refused.body);
        assert!(refused.body.contains(&format!("--allow-weak-shares {DOMAIN}")), "{}", refused.body);
        detour.stop().await;
    }
}

/// The keys of live sessions are the same in several of them, and nobody counts over machines how much they have encrypted.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_shares_its_sessions_opens_none_of_8_bits() {
    let (store, dir) = (Server::start(&[]), tempfile::tempdir().expect("a folder"));
    let key_file = dir.path().join("store.key");
    rke_shared_store::key_file::add_key(&key_file).expect("a key");
    let addresses = Addresses { urls: vec![store.url()], deployment: Deployment::Single };
    let sharing = Sharing { addresses, key_file, hold: Duration::from_secs(1) };
    let detour = weak(own, |config| config.fixed.store = Some(sharing)).await;
    let refused = detour.create().await;
    assert_eq!(refused.status, 403, "{}", refused.body);
    assert!(refused.body.contains(" has keys of 8 bits only, "), "{}", refused.body);
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_key_set_for_wide_shares_no_narrow_ones_are_given() {
    let without_width = async |network: &LocalNetwork, _: &tempfile::TempDir| {
        let mut records = network.records().clone();
        records.texts.retain(|text| !text.contains("share-bytes"));
        records
    };
    let detour = Detour::new(without_width, |config| config.reloadable.allow_weak_shares = domains()).await;
    let refused = detour.create().await.json();
    assert_eq!((&refused["code"], &refused["answered"]), (&json!(503), &json!([])), "{refused}");
    assert_eq!(refused["faults"][24]["fault"], "refused: no such key set (212)");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_answers_in_envelope_4_is_asked_in_it_also_where_envelope_1_is_allowed() {
    for allowed in [vec![Domain::new("other.test").expect("a domain")], domains()] {
        // Where it is allowed, a RAIDA that does not respond for long is asked in envelope 1 too.
        again(async || {
            let dir = tempfile::tempdir().expect("a folder");
            let mut network = network(&dir).await;
            let records = network.add_narrow_key_set().await.expect("a key set");
            let relays = Relays::start(network.node_addresses(), vec![Fault::None; 25], 0).await;
            let records = moved(&network, records, &relays.endpoints());
            let allow = |config: &mut Config| {
                config.reloadable.allow_weak_shares = domains();
                config.reloadable.allow_envelope_1.clone_from(&allowed);
            };
            let detour = Detour::on(dir, network, records, allow).await;
            check_weak(&detour.show(&detour.create().await).await, true);
            detour.stop().await;
            let envelopes = relays.envelopes();
            if envelopes == [4] { Ok(()) } else { Err(format!("{envelopes:?}")) }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weak_session_carries_data_and_shows_on_every_line_that_it_is_weak() {
    let detour = weak(own, |_| ()).await;
    let shown = detour.show(&detour.create().await).await;
    check_weak(&shown, true);
    let path = format!("session/{}/tunnel", id(&shown));
    assert_eq!(post(detour.daemon.address(), &path, &[], "to and fro").await.good(), b"to and fro");
    let keys = detour.get("/api/rke/keys").await.json();
    assert_eq!((&keys["total"], &keys["keys"][0]["key_bits"]), (&json!(1), &json!(8)), "{keys}");
    // The cached key serves further sessions, as on the live network.
    let wallet = detour.network.wallet().display();
    let cached = detour.get(&format!("/api/rke/session?domain={DOMAIN}&wallet_path={wallet}")).await;
    assert_eq!(cached.json()["from_cache"], true);
    check_weak(&detour.show(&cached).await, true);
    // The program reports it too.
    let daemon = detour.daemon.address();
    let create = format!("session create {DOMAIN} --wallet {wallet} --daemon {daemon}");
    let (success, _, log) = rke(arguments(&create), "").await;
    assert!(success && log.contains("WEAK"), "{log}");
    let (success, _, log) = rke(arguments(&format!("{create} --json")), "").await;
    assert!(success && log.contains("WEAK") && !log.contains("opened with"), "{log}");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_a_weak_session_that_goes_away_has_its_command_killed_and_has_not_ended() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = |name: &str| dir.path().join(name);
    let (begun, ended) = (file("begun"), file("ended"));
    let command = format!(
        "echo $$ > '{}'; cat >/dev/null; echo $$ > '{}'; sleep 1000",
        begun.display(),
        ended.display()
    );
    let mut network = network_with(&dir, ServerConfig::new(running(&command))).await;
    let records = network.add_narrow_key_set().await.expect("a key set");
    let allow = |config: &mut Config| config.reloadable.allow_weak_shares = domains();
    let detour = Detour::on(dir, network, records, allow).await;
    let shown = detour.show(&detour.create().await).await;
    check_weak(&shown, true);
    // The client goes away before the end of its data, then after it.
    for (body, sign) in [("al", &begun), ("all", &ended)] {
        let mut client = TcpStream::connect(detour.daemon.address()).await.expect("connected");
        let target = format!("/api/rke/session/{}/tunnel", id(&shown));
        let request = format!("POST {target} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 3\r\n\r\n{body}");
        client.write_all(request.as_bytes()).await.expect("sent");
        let command = eventually(|| std::fs::read_to_string(sign).ok()?.trim().parse::<u32>().ok()).await;
        drop(client);
        eventually(|| (!Path::new(&format!("/proc/{command}")).exists()).then_some(())).await;
        assert_eq!(ended.exists(), body == "all", "a cut is no end");
    }
    detour.stop().await;
}

/// Waits for something that must appear soon.
async fn eventually<T>(is_there: impl Fn() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match is_there() {
            Some(there) => return there,
            None => assert!(Instant::now() < deadline, "it has not come"),
        }
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_weak_key_opens_nothing_once_the_domain_is_no_longer_allowed_to() {
    let mut settings = None;
    let detour = weak(own, |config| settings = Some(config.clone())).await;
    assert_eq!(detour.create().await.json()["from_cache"], false);
    let wallet = detour.network.wallet().display();
    let create = format!("/api/rke/session?domain={DOMAIN}&wallet_path={wallet}");
    assert_eq!(detour.get(&create).await.json()["from_cache"], true);
    let mut withdrawn = settings.expect("settings");
    withdrawn.reloadable.allow_weak_shares = Vec::new();
    detour.daemon.reload(withdrawn).await.expect("other settings");
    assert_eq!(detour.get("/api/rke/keys").await.json()["total"], 1, "the key is still cached");
    let refused = detour.get(&create).await;
    assert!(
        refused.status == 403 && refused.body.contains(" offers only weak (1-byte) key shares, "),
        "{refused:?}"
    );
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_content_server_a_weak_session_depends_on_what_is_required() {
    for (confirm, status) in [(Confirm::Require, 502), (Confirm::Try, 200), (Confirm::Off, 200)] {
        let detour = weak(nobody, |config| config.reloadable.confirm = confirm).await;
        let created = detour.create().await;
        assert_eq!(created.status, status, "{confirm:?}: {}", created.body);
        if status == 200 {
            let shown = detour.show(&created).await;
            check_weak(&shown, false);
            let path = format!("session/{}/tunnel", id(&shown));
            let refused = post(detour.daemon.address(), &path, &[], "x").await.refusal(409);
            assert!(
                refused.starts_with("The Content Server has not confirmed this session's key, "),
                "{refused}"
            );
            let (daemon, wallet) = (detour.daemon.address(), detour.network.wallet().display());
            let create = format!("session create {DOMAIN} --wallet {wallet} --daemon {daemon}");
            let (success, _, log) = rke(arguments(&create), "").await;
            assert!(success && log.contains("WEAK") && log.contains("has not confirmed the key"), "{log}");
        } else {
            let body = created.json();
            let message = body["message"].as_str().expect("a message");
            assert!(message.starts_with("The key was not confirmed: "), "{message}");
            assert_eq!(body["domain"], DOMAIN);
            assert_eq!(detour.get("/api/rke/status").await.json()["keystore"]["total"], 0);
        }
        detour.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weak_key_is_found_in_256_tries_by_anyone_who_sees_the_handshake() {
    let mut listener = None;
    let on_the_way = async |server: SocketAddr| {
        let own = Listener::before(server).await;
        let port = own.address.port();
        listener = Some(own);
        port
    };
    let detour = weak(on_the_way, |_| ()).await;
    let shown = detour.show(&detour.create().await).await;
    check_weak(&shown, true);
    let target = format!("/api/rke/encrypt?session_id={}&plaintext=SGVsbG8gV29ybGQh", id(&shown));
    let encrypted = detour.get(&target).await.json();
    let ciphertext = STANDARD.decode(encrypted["ciphertext"].as_str().expect("text")).expect("Base64");
    let nonce = hex::decode(encrypted["nonce"].as_str().expect("text")).expect("hex");
    let nonce: [u8; 16] = nonce.try_into().expect("16 bytes");
    // Nothing but data that went over the wire in the clear.
    let heard = listener.expect("a listener").heard();
    let header = PacketHeader::decode(heard[0][0].first_chunk().expect("a header")).expect("a packet");
    let handshake = HandshakeNonce::decode(&header.nonce).expect("a handshake");
    let cs_id = ContentServerId::new("CONTENT-SERVER01").expect("an ID");
    let context: KeyContext = handshake.context(cs_id);
    let found = (0..=255_u8).find(|guess| {
        let (mut key, mut data) = ([0; 32], ciphertext.clone());
        derive::narrow_key(*guess, &context, &mut key);
        cipher::aes256_ctr(&key, &nonce, &mut data);
        data == b"Hello World!"
    });
    assert!(found.is_some(), "the key was not found");
    detour.stop().await;
}
