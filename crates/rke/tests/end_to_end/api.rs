//! The HTTP API over real exchanges: real UDP, real DNS, real HTTP, on free ports.

use std::time::Duration;

use crate::support::{DOMAIN, Stage, again, config, get, raw, request};
use rke_daemon::Daemon;
use rke_proto::RaidaIndex;

const MULTI: &str = "SGVsbG8gV29ybGQh";

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lives_and_dies_as_documented() {
    let stage = Stage::new().await;
    let created = stage.get(&stage.create_target()).await;
    let id = created.json()["session_id"].as_str().expect("an id").to_owned();
    let expires = created.json()["expires_at"].as_str().expect("a time").to_owned();
    assert_eq!(
        created.body,
        format!(
            r#"{{"command":"rke_session_create","success":true,"session_id":"{id}","domain":"{DOMAIN}","cs_id":"CONTENT-SERVER01","expires_at":"{expires}","from_cache":false}}"#
        )
    );
    assert!(id.len() == 32 && expires.len() == 20 && expires.ends_with('Z'));
    let encrypted = stage.get(&format!("/api/rke/encrypt?session_id={id}&plaintext={MULTI}")).await;
    let (ciphertext, nonce) =
        (encrypted.json()["ciphertext"].clone(), encrypted.json()["nonce"].as_str().expect("hex").to_owned());
    assert_eq!(
        encrypted.body,
        format!(
            r#"{{"command":"rke_encrypt","success":true,"ciphertext":{ciphertext},"nonce":"{nonce}","length":12}}"#
        )
    );
    // An id is accepted in either case, and a `+` may arrive as a space.
    let upper = id.to_uppercase();
    let ciphertext = ciphertext.as_str().expect("Base64").replace('+', " ").replace(' ', "%20");
    let decrypted = stage
        .get(&format!("/api/rke/decrypt?session_id={upper}&ciphertext={ciphertext}&nonce={nonce}"))
        .await;
    assert_eq!(
        decrypted.body,
        format!(r#"{{"command":"rke_decrypt","success":true,"plaintext":"{MULTI}","length":12}}"#)
    );
    let listed = stage.get("/api/rke/sessions").await;
    let created_at = listed.json()["sessions"][0]["created_at"].as_str().expect("a time").to_owned();
    let row = format!(
        r#""session_id":"{id}","domain":"{DOMAIN}","cs_id":"CONTENT-SERVER01","created_at":"{created_at}","expires_at":"{expires}","encrypt_count":1,"decrypt_count":1"#
    );
    assert_eq!(
        listed.body,
        format!(
            r#"{{"command":"rke_sessions","success":true,"total":1,"active":1,"sessions":[{{{row}}}],"weak":0,"weakly_authenticated":0}}"#
        )
    );
    let shown = stage.get(&format!("/api/rke/session/{id}")).await;
    let raidas = serde_json::to_string(&shown.json()["raidas"]).expect("JSON");
    let key_id = shown.json()["key_id"].as_str().expect("a key id").to_owned();
    assert!(key_id.len() == 32 && key_id != id, "{key_id}");
    assert_eq!(
        shown.body,
        format!(
            r#"{{{row},"key_bits":256,"envelope":[5],"raidas":{raidas},"liars":[],"from_cache":false,"confirmed":true,"key_id":"{key_id}","forward_secret":true,"authenticated":"strong","coin":"0:1001","tunnel_broken_off":null,"key_gone":false}}"#
        )
    );
    let deleted = stage.get(&format!("/api/rke/session/delete?session_id={upper}")).await;
    assert_eq!(
        deleted.body,
        format!(r#"{{"command":"rke_session_delete","success":true,"session_id":"{upper}"}}"#)
    );
    for (path, message) in [
        ("session/delete?", "Session not found"),
        ("encrypt?plaintext=YQ==&", "Session not found or expired"),
        ("decrypt?ciphertext=YQ==&nonce=00112233445566778899aabbccddeeff&", "Session not found or expired"),
    ] {
        let answer = stage.get(&format!("/api/rke/{path}session_id={id}")).await;
        let expected = format!(r#"{{"error":true,"message":"{message}","code":404,"session_id":"{id}"}}"#);
        assert_eq!((answer.status, answer.body), (404, expected));
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_and_status_have_the_documented_form() {
    let stage = Stage::new().await;
    let found = stage.get(&format!("/api/rke/discover?domain={DOMAIN}")).await;
    let port = stage.network.content_server_address().port();
    assert_eq!(
        found.body,
        format!(
            r#"{{"command":"rke_discover","success":true,"domain":"{DOMAIN}","target_host":"cs.{DOMAIN}","target_port":{port},"min_raidas_required":13,"key_sets":[{{"key_id":"k1","cs_id":"CONTENT-SERVER01","server_count":25}}]}}"#
        )
    );
    let status = stage.get("/api/rke/status").await;
    let start = r#"{"command":"rke_status","success":true,"sessions":{"total":0,"active":0,"max":16},"keystore":{"total":0,"valid":0,"expired":0,"max":64,"default_ttl_hours":24},"config":{"session_timeout_sec":3600,"#;
    assert!(status.body.starts_with(start), "{}", status.body);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_wrong_request_has_its_answer() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let long = "a".repeat(65);
    for (target, status, text) in [
        (
            "/api/rke/session/delete",
            400,
            r#"{"error":true,"message":"Missing 'session_id' parameter","code":400}"#,
        ),
        (
            "/api/rke/session/delete?session_id=nonexistent00000000000000000000",
            404,
            r#"{"error":true,"message":"Session not found","code":404,"session_id":"nonexistent00000000000000000000"}"#,
        ),
        (&format!("/api/rke/session/delete?session_id={long}"), 400, "(32 hex chars)"),
        ("/api/rke/session/delete?session_id=%22%0a", 404, r#""session_id":"\"\n""#),
        ("/api/rke/session/delete?session_id=1&session_id=2", 400, "'session_id'"),
        ("/api/rke/session/delete?session_id=%ff", 400, "'session_id'"),
        ("/api/rke/session/delete?session_id=%00", 400, "'session_id'"),
        ("/api/rke/session/deadbeef", 404, "Session not found"),
        ("/api/rke/session/%ff", 404, "Session not found"),
        (&format!("/api/rke/encrypt?session_id={id}"), 400, "Missing 'plaintext' parameter"),
        (
            &format!("/api/rke/encrypt?session_id={id}&plaintext=abc"),
            400,
            r#"{"error":true,"message":"Invalid base64 encoding","code":400}"#,
        ),
        (
            &format!("/api/rke/decrypt?session_id={id}&ciphertext=YQ==&nonce=12"),
            400,
            r#"{"error":true,"message":"Missing or invalid 'nonce' parameter (32 hex chars)","code":400}"#,
        ),
        (&format!("/api/rke/decrypt?session_id={id}&ciphertext=YQ=="), 400, "'nonce'"),
        ("/api/rke/discover", 400, "Missing 'domain' parameter"),
        ("/api/rke/discover?domain=a..b", 400, "Missing or invalid 'domain' parameter ("),
        ("/api/rke/discover?domain=missing.rke.test", 502, "DNS discovery failed: "),
        (&format!("/api/rke/session?domain={DOMAIN}"), 400, "Missing 'wallet_path' parameter"),
        (&format!("/api/rke/session?domain={DOMAIN}&wallet_path=wallet"), 400, "must be absolute"),
        (&format!("/api/rke/session?domain={DOMAIN}&wallet_path=/nowhere/at/all"), 400, "cannot open"),
        (&format!("/api/rke/session?domain={DOMAIN}&wallet_path=/dev/null"), 400, "not a folder"),
        (&format!("{}&fresh=maybe", stage.create_target()), 400, "'fresh'"),
        ("/api/rke/nothing", 404, "No such path"),
        ("/nothing", 404, "No such path"),
    ] {
        let answer = stage.get(target).await;
        assert!(answer.status == status && answer.body.contains(text), "{target}: {answer:?}");
        assert!(answer.json()["error"] == true && answer.json()["code"] == status, "{target}: {answer:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"), "{target}");
    }
    assert_eq!(stage.get("/api/rke/sessions").await.json()["total"], 1);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_are_those_that_the_route_has() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let address = stage.daemon.address();
    let delete = format!("/api/rke/session/delete?session_id={id}");
    for method in ["HEAD", "POST", "DELETE", "PUT"] {
        let answer = request(address, method, &delete).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("get, options")), "{method}");
    }
    let options = request(address, "OPTIONS", &delete).await;
    assert_eq!((options.status, options.header("allow")), (204, Some("get, options")));
    let head = request(address, "HEAD", "/api/rke/sessions").await;
    assert!(head.status == 200 && head.body.is_empty(), "{head:?}");
    assert_eq!(request(address, "POST", "/api/rke/sessions").await.json()["code"], 405);
    assert_eq!(stage.get(&format!("/api/rke/session/{id}")).await.status, 200, "nothing was deleted");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_or_no_http_gets_json_too() {
    let stage = Stage::new().await;
    let address = stage.daemon.address();
    let with_header = |header: &str| {
        format!("GET /api/rke/status HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n\r\n")
    };
    let many: String = (0..70).map(|i| format!("x-{i}: 1\r\n")).collect();
    for (request, status) in [
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "a".repeat(50 * 1024)), 414),
        (format!("GET /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "a".repeat(80 * 1024)), 414),
        (with_header(&format!("x: {}", "a".repeat(20 * 1024))), 431),
        (with_header(many.trim_end()), 431),
        (with_header("content-length: 70000"), 413),
        ("NOT HTTP AT ALL\r\n\r\n".into(), 400),
        ("GET /api/rke/status HTTP/9.9\r\n\r\n".into(), 400),
    ] {
        let answer = raw(address, request).await;
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(answer.json()["code"] == status && answer.json()["error"] == true, "{answer:?}");
    }
    assert_eq!(stage.get("/api/rke/status").await.status, 200);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_answered_with_408() {
    let stage = Stage::new().await;
    let answer = raw(stage.daemon.address(), "GET /api/rke/status HTT").await;
    assert_eq!((answer.status, answer.json()["code"].as_u64()), (408, Some(408)));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_store_says_when_to_come_back() {
    let stage = Stage::with(|config| config.reloadable.max_sessions = 2).await;
    stage.create().await;
    let second = stage.create_id().await;
    let full = stage.get(&stage.create_target()).await;
    assert_eq!(
        (full.status, full.body.as_str()),
        (429, r#"{"error":true,"message":"Maximum of 2 sessions reached","code":429}"#)
    );
    let retry: u64 = full.header("retry-after").and_then(|text| text.parse().ok()).expect("Retry-After");
    assert!((3500..=3600).contains(&retry));
    stage.get(&format!("/api/rke/session/delete?session_id={second}")).await;
    stage.create().await;
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_session_is_not_found() {
    let stage = Stage::with(|config| config.reloadable.session_ttl = Duration::from_millis(300)).await;
    let id = stage.create_id().await;
    tokio::time::sleep(Duration::from_millis(350)).await;
    let answer = stage.get(&format!("/api/rke/session/delete?session_id={id}")).await;
    assert_eq!((answer.status, answer.json()["message"].as_str()), (404, Some("Session not found")));
    assert_eq!(stage.get("/api/rke/sessions").await.json()["active"], 0);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_clients_that_delete_the_same_id_one_succeeds() {
    let stage = Stage::new().await;
    for _ in 0..20 {
        let target = format!("/api/rke/session/delete?session_id={}", stage.create_id().await);
        let (one, two) = tokio::join!(stage.get(&target), stage.get(&target));
        let mut statuses = [one.status, two.status];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 404]);
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_key_saves_the_exchange_also_after_a_restart() {
    let mut stage = Stage::new().await;
    assert_eq!(stage.create().await["from_cache"], false);
    let id = stage.create_id().await;
    let encrypted = stage.get(&format!("/api/rke/encrypt?session_id={id}&plaintext={MULTI}")).await.json();
    for raida in RaidaIndex::all() {
        stage.network.stop_node(raida).await;
    }
    let config = config(&stage.dir, stage.network.dns_address());
    stage.daemon.stop().await;
    let daemon = Daemon::start(config).await.expect("a daemon");
    let target = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", stage.network.wallet().display());
    let created = get(daemon.address(), &target).await.json();
    assert_eq!(created["from_cache"], true);
    // The second session has its own key: ciphertexts of the first are noise to it.
    let encode = |field: &str| encrypted[field].as_str().expect("text").replace('+', "%2B");
    let id = created["session_id"].as_str().expect("an id");
    let target = format!(
        "/api/rke/decrypt?session_id={id}&ciphertext={}&nonce={}",
        encode("ciphertext"),
        encode("nonce")
    );
    assert_ne!(get(daemon.address(), &target).await.json()["plaintext"], MULTI);
    let fresh = format!(
        "/api/rke/session?domain={DOMAIN}&wallet_path={}&fresh=true",
        stage.network.wallet().display()
    );
    assert_eq!(get(daemon.address(), &fresh).await.status, 503);
    daemon.stop().await;
    stage.network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twelve_dead_nodes_are_survived_and_thirteen_are_named() {
    let mut stage = Stage::new().await;
    let fresh = format!("{}&fresh=true", stage.create_target());
    for (dead, raida) in RaidaIndex::all().enumerate() {
        if matches!(dead, 0 | 1 | 12 | 13) {
            if dead == 13 {
                let message =
                    "Only 12 of 13 required RAIDAs answered; 13 refused: nothing listens at their ports";
                let body = again(async || {
                    let answer = stage.get(&fresh).await;
                    assert_eq!(answer.status, 503);
                    // Others may be late.
                    if answer.json()["message"] == message { Ok(answer.json()) } else { Err(answer.body) }
                })
                .await;
                assert_eq!(body["answered"], serde_json::json!((13..25).collect::<Vec<u8>>()));
                let named: Vec<u64> = body["faults"]
                    .as_array()
                    .expect("faults")
                    .iter()
                    .filter_map(|f| f["raida"].as_u64())
                    .collect();
                assert_eq!(named, (0..13).collect::<Vec<u64>>());
                break;
            }
            let answer = stage.get(&fresh).await;
            let id = answer.json()["session_id"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned();
            let raidas = stage.get(&format!("/api/rke/session/{id}")).await.json()["raidas"].clone();
            let raidas: Vec<u64> = serde_json::from_value(raidas).expect("indexes");
            assert!(
                raidas.len() >= 13 && raidas.iter().all(|raida| *raida >= dead as u64),
                "{dead}: {raidas:?}"
            );
        }
        stage.network.stop_node(raida).await;
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn later_requests_for_a_domain_wait_for_the_exchange_that_runs() {
    let stage = Stage::new().await;
    let target = stage.create_target();
    let (one, two, three) = tokio::join!(stage.get(&target), stage.get(&target), stage.get(&target));
    let fresh = [one, two, three].iter().filter(|answer| answer.json()["from_cache"] == false).count();
    assert_eq!(fresh, 1);
    stage.stop().await;
}
