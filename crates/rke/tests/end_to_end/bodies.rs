//! `POST` to `encrypt` and `decrypt`: JSON and raw bodies of every size. Each kind of request decrypts the
//! ciphertexts of all the others. It also covers the requests that are refused.

use std::process::{Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::key::KnownKey;
use crate::support::{Stage, percent, raw};
use crate::wire::{Reply, data, post, post_json, post_pieces, send};

/// Sizes at which off-by-one errors may occur, and a large one.
pub(crate) const SIZES: [usize; 9] = [0, 1, 15, 16, 17, 65_535, 65_536, 65_537, 3_000_001];

/// Ways to request an encryption. Each returns the ciphertext and the nonce.
#[derive(Debug, Clone, Copy)]
enum Way {
    Get,
    Json,
    Raw,
    RawInPieces,
}

impl Way {
    const ALL: [Self; 4] = [Self::Get, Self::Json, Self::Raw, Self::RawInPieces];

    fn takes(self, len: usize) -> bool {
        match self {
            Self::Get => (1..=30_000).contains(&len),
            Self::Json => len <= 700_000,
            Self::Raw | Self::RawInPieces => true,
        }
    }

    async fn encrypt(self, stage: &Stage, id: &str, data: &[u8]) -> (Vec<u8>, String) {
        let (address, session, text) =
            (stage.daemon.address(), [("x-rke-session", id)], STANDARD.encode(data));
        let of_json = |answer: &Value| {
            assert_eq!((&answer["command"], &answer["length"]), (&json!("rke_encrypt"), &data.len().into()));
            let text = |name: &str| answer[name].as_str().expect(name).to_owned();
            (STANDARD.decode(text("ciphertext")).expect("Base64"), text("nonce"))
        };
        let of_raw = |reply: Reply| {
            let nonce = reply.header("x-rke-nonce").expect("a nonce").to_owned();
            assert_eq!(reply.header("content-type"), Some("application/octet-stream"));
            (reply.good(), nonce)
        };
        match self {
            Self::Get => {
                let target = format!("/api/rke/encrypt?session_id={id}&plaintext={}", percent(&text));
                of_json(&stage.get(&target).await.json())
            }
            Self::Json => {
                let body = json!({"session_id": id, "plaintext": text});
                of_json(&post_json(address, "encrypt", &body).await.json())
            }
            Self::Raw => of_raw(post(address, "encrypt", &session, data.to_vec()).await),
            Self::RawInPieces => of_raw(post_pieces(address, "encrypt", &session, data, 4_097).await),
        }
    }

    async fn decrypt(self, stage: &Stage, id: &str, data: &[u8], nonce: &str) -> Vec<u8> {
        let (address, text) = (stage.daemon.address(), STANDARD.encode(data));
        let headers = [("x-rke-session", id), ("x-rke-nonce", nonce)];
        match self {
            Self::Get => {
                let text = percent(&text);
                let target = format!("/api/rke/decrypt?session_id={id}&nonce={nonce}&ciphertext={text}");
                let answer = stage.get(&target).await.json();
                STANDARD.decode(answer["plaintext"].as_str().expect("Base64")).expect("Base64")
            }
            Self::Json => {
                let body = json!({"session_id": id, "ciphertext": text, "nonce": nonce});
                post_json(address, "decrypt", &body).await.field("plaintext")
            }
            Self::Raw => post(address, "decrypt", &headers, data.to_vec()).await.good(),
            Self::RawInPieces => post_pieces(address, "decrypt", &headers, data, 65_537).await.good(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_decrypts_what_every_other_has_encrypted() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let (mut encrypted, mut decrypted) = (0, 0);
    for len in SIZES {
        let plaintext = data(len);
        for way in Way::ALL.into_iter().filter(|way| way.takes(len)) {
            let (ciphertext, nonce) = way.encrypt(&stage, &id, &plaintext).await;
            encrypted += 1;
            assert!(len < 16 || ciphertext != plaintext, "{way:?} {len}");
            for back in Way::ALL.into_iter().filter(|way| way.takes(len)) {
                assert!(
                    back.decrypt(&stage, &id, &ciphertext, &nonce).await == plaintext,
                    "{way:?} {back:?} {len}"
                );
                decrypted += 1;
            }
        }
    }
    let shown = stage.get(&format!("/api/rke/session/{id}")).await.json();
    assert_eq!((&shown["encrypt_count"], &shown["decrypt_count"]), (&encrypted.into(), &decrypted.into()));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_stream_has_a_nonce_of_its_own_and_declares_its_length_if_it_can() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let (address, session) = (stage.daemon.address(), [("x-rke-session", &*id)]);
    let one = post(address, "encrypt", &session, data(100_000)).await;
    let other = post_pieces(address, "encrypt", &session, &data(100_000), 999).await;
    assert_ne!(one.header("x-rke-nonce"), other.header("x-rke-nonce"));
    assert_eq!((one.header("content-length"), other.header("content-length")), (Some("100000"), None));
    assert_eq!(one.header("cache-control"), Some("no-store"));
    // HTTP/1.0 has no other way to show that a response is complete.
    let head = "POST /api/rke/encrypt HTTP/1.0\r\nhost: localhost\r\ncontent-length: 4\r\nx-rke-session: ";
    let old = raw(address, format!("{head}{id}\r\n\r\n\0\0\0\0")).await;
    assert_eq!((old.status, old.header("content-length")), (200, Some("4")));
    stage.stop().await;
}

/// The output of `openssl enc` for this input.
fn openssl(key: &str, nonce: &str, input: Vec<u8>) -> Vec<u8> {
    let mut child = Command::new("openssl")
        .args(["enc", "-aes-256-ctr", "-K", key, "-iv", nonce])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl is needed for this test");
    let mut stdin = child.stdin.take().expect("an input");
    let feed = std::thread::spawn(move || std::io::Write::write_all(&mut stdin, &input));
    let output = child.wait_with_output().expect("an output").stdout;
    feed.join().expect("no panic").expect("all was read");
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn openssl_makes_the_same_of_a_raw_stream() {
    let known = KnownKey::new().await;
    let (address, key) = (
        known.daemon.address(),
        known.derived(rke_proto::handshake::keys::ctr_key).expose(|key| hex::encode(key)),
    );
    for len in SIZES {
        let reply = post(address, "encrypt", &[("x-rke-session", &known.id)], data(len)).await;
        let nonce = reply.header("x-rke-nonce").expect("a nonce").to_owned();
        assert!(openssl(&key, &nonce, reply.good()) == data(len), "{len}");
    }
    // With these nonces, the counter overflows within the stream.
    for nonce in [
        "f".repeat(32),
        format!("{}fffffffe", "f".repeat(24)),
        format!("{}{}", "0".repeat(16), "f".repeat(16)),
    ] {
        let headers = [("x-rke-session", &*known.id), ("x-rke-nonce", &nonce)];
        let reply = post_pieces(address, "decrypt", &headers, &data(200_001), 7_777).await;
        assert!(openssl(&key, &nonce, data(200_001)) == reply.good(), "{nonce}");
    }
    known.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_raw_request_that_is_wrong_is_refused_before_its_body_is_read() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let nonce = "00112233445566778899aabbccddeeff";
    let (other, long) = ("0".repeat(32), "a".repeat(65));
    let session = format!("x-rke-session: {id}");
    for (path, headers, status, message) in [
        ("encrypt", String::new(), 400, "Missing 'X-RKE-Session' header"),
        ("encrypt", "x-rke-session: ".into(), 400, "Missing 'X-RKE-Session' header"),
        ("encrypt", format!("{session}\r\n{session}"), 400, "'X-RKE-Session' header (given once)"),
        ("encrypt", "x-rke-session: \u{e9}".into(), 400, "'X-RKE-Session' header (visible ASCII)"),
        ("encrypt", format!("x-rke-session: {long}"), 400, "'session_id'"),
        ("encrypt", format!("x-rke-session: {other}"), 404, "Session not found or expired"),
        ("encrypt", "x-rke-session: no-id-at-all".into(), 404, "Session not found or expired"),
        (
            "encrypt",
            format!("{session}\r\ncontent-type: application/json\r\ncontent-type: a/b"),
            400,
            "'Content-Type'",
        ),
        ("decrypt", session.clone(), 400, "'X-RKE-Nonce' header (32 hex chars)"),
        ("decrypt", format!("{session}\r\nx-rke-nonce: 12"), 400, "'X-RKE-Nonce' header (32 hex chars)"),
        (
            "decrypt",
            format!("{session}\r\nx-rke-nonce: {nonce}\r\nx-rke-nonce: {nonce}"),
            400,
            "'X-RKE-Nonce'",
        ),
        ("decrypt", format!("x-rke-session: {other}\r\nx-rke-nonce: {nonce}"), 404, "Session not found"),
        ("seal", format!("x-rke-session: {other}"), 404, "Session not found or expired"),
        ("seal", format!("{session}\r\nx-rke-associated-data: !!"), 400, "Invalid base64 encoding"),
        ("open", String::new(), 400, "Missing 'X-RKE-Session' header"),
        (
            "open",
            format!("{session}\r\nx-rke-associated-data: YQ==\r\nx-rke-associated-data: YQ=="),
            400,
            "given once",
        ),
    ] {
        let head =
            format!("POST /api/rke/{path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000000000\r\n");
        let answer =
            raw(stage.daemon.address(), format!("{head}expect: 100-continue\r\n{headers}\r\n\r\n")).await;
        assert!(answer.status == status && answer.body.contains(message), "{path} {headers}: {answer:?}");
        assert_eq!((&answer.json()["code"], &answer.json()["error"]), (&status.into(), &true.into()));
        assert_eq!(answer.header("connection"), Some("close"), "{path} {headers}");
    }
    let shown = stage.get(&format!("/api/rke/session/{id}")).await.json();
    assert_eq!((&shown["encrypt_count"], &shown["decrypt_count"]), (&0.into(), &0.into()));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_json_body_is_read_strictly_and_repeated_nowhere() {
    let stage = Stage::new().await;
    let (id, address) = (stage.create_id().await, stage.daemon.address());
    let fixed = |text: &str| text.replace("ID", &id);
    let nonce = r#""nonce":"00112233445566778899aabbccddeeff""#;
    for (path, body, status, message) in [
        ("encrypt", "", 400, "The body is empty"),
        ("encrypt", "{", 400, "not valid JSON"),
        ("encrypt", "\u{feff}{}", 400, "not valid JSON"),
        ("encrypt", r#"{"session_id":"ID","plaintext":"TUFSS0VS"} MARKER"#, 400, "not valid JSON"),
        ("encrypt", r#"["ID","TUFSS0VS","MARKER"]"#, 400, "session_id and plaintext"),
        ("encrypt", r#"["ID","TUFSS0VS"]"#, 400, "session_id and plaintext"),
        ("encrypt", r#""MARKER""#, 400, "session_id and plaintext"),
        ("encrypt", r#"{"session_id":"ID","plaintext":["MARKER"]}"#, 400, "each of its type"),
        ("encrypt", r#"{"session_id":"ID","plaintext":17}"#, 400, "each of its type"),
        (
            "encrypt",
            r#"{"session_id":"ID","plaintext":"YQ==","MARKER":"x"}"#,
            400,
            "session_id and plaintext",
        ),
        ("encrypt", r#"{"session_id":"ID","plaintext":"YQ==","plaintext":"YQ=="}"#, 400, "given once"),
        ("encrypt", r#"{"plaintext":"YQ=="}"#, 400, "Missing 'session_id' parameter"),
        ("encrypt", r#"{"session_id":"","plaintext":"YQ=="}"#, 400, "Missing 'session_id' parameter"),
        ("encrypt", r#"{"session_id":"ID"}"#, 400, "Missing 'plaintext' parameter"),
        ("encrypt", r#"{"session_id":"ID","plaintext":null}"#, 400, "Missing 'plaintext' parameter"),
        ("encrypt", r#"{"session_id":"ID","plaintext":"MARKER!"}"#, 400, "Invalid base64 encoding"),
        ("encrypt", r#"{"session_id":"0","plaintext":"YQ=="}"#, 404, "Session not found or expired"),
        ("decrypt", r#"{"session_id":"ID","ciphertext":"YQ=="}"#, 400, "'nonce' parameter (32 hex chars)"),
        ("decrypt", r#"{"session_id":"ID","ciphertext":"YQ==","nonce":"12"}"#, 400, "'nonce' parameter"),
        ("decrypt", &format!(r#"{{"session_id":"ID",{nonce}}}"#), 400, "Missing 'ciphertext' parameter"),
        (
            "seal",
            r#"{"session_id":"ID","plaintext":"YQ==","associated-data":"YQ=="}"#,
            400,
            "associated_data",
        ),
        (
            "seal",
            r#"{"session_id":"ID","plaintext":"YQ==","associated_data":"Y"}"#,
            400,
            "Invalid base64 encoding",
        ),
        ("open", r#"{"session_id":"ID"}"#, 400, "Missing 'sealed' parameter"),
        ("open", r#"{"session_id":"0","sealed":"YQ=="}"#, 404, "Session not found or expired"),
    ] {
        let json = [("content-type", "application/json; charset=utf-8")];
        let reply = post(address, path, &json, fixed(body)).await;
        let told = reply.refusal(status);
        assert!(told.contains(message) && !told.contains("MARKER"), "{path} {body}: {told}");
    }
    let invalid = [&br#"{"session_id":""#[..], &[0xFF], br#"","plaintext":"YQ=="}"#].concat();
    post(address, "encrypt", &[("content-type", "application/json")], invalid).await.refusal(400);
    let deep = "[".repeat(100_000);
    post(address, "encrypt", &[("content-type", "application/json")], deep).await.refusal(400);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_may_have_a_mebibyte_and_the_other_routes_less() {
    let stage = Stage::new().await;
    let (id, address) = (stage.create_id().await, stage.daemon.address());
    let json = [("content-type", "application/json")];
    // Spaces make the JSON as long as needed.
    let body = |len: usize| {
        let text = json!({"session_id": id, "plaintext": "YQ=="}).to_string();
        text.clone() + &" ".repeat(len - text.len())
    };
    const MOST: usize = 1 << 20;
    assert_eq!(post(address, "encrypt", &json, body(MOST)).await.status, 200);
    assert_eq!(post_pieces(address, "encrypt", &json, body(MOST).as_bytes(), 30_000).await.status, 200);
    for path in ["encrypt", "decrypt", "seal", "open"] {
        let told = post(address, path, &json, body(MOST + 1)).await.refusal(413);
        assert!(told.contains("1 MiB"), "{told}");
        let told = post_pieces(address, path, &json, body(MOST + 1).as_bytes(), 30_000).await.refusal(413);
        assert!(told.contains("1 MiB"), "{told}");
    }
    let target = "/api/rke/session/delete";
    let small = send(address, "POST", target, &[], http_body_util::Full::new(data(64 * 1024).into()));
    assert_eq!(small.await.expect("an answer").status(), 405);
    let large = send(address, "POST", target, &[], http_body_util::Full::new(data(64 * 1024 + 1).into()));
    assert_eq!(large.await.expect("an answer").status(), 413);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_routes_say_which_methods_they_have() {
    let stage = Stage::new().await;
    let address = stage.daemon.address();
    for (path, allow) in [
        ("encrypt", "GET, POST, OPTIONS"),
        ("decrypt", "GET, POST, OPTIONS"),
        ("seal", "POST, OPTIONS"),
        ("open", "POST, OPTIONS"),
    ] {
        for method in ["HEAD", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            let empty = http_body_util::Empty::new();
            let answer =
                send(address, method, &format!("/api/rke/{path}"), &[], empty).await.expect("an answer");
            let status = if method == "OPTIONS" { 204 } else { 405 };
            assert_eq!(
                (answer.status().as_u16(), &answer.headers()["allow"]),
                (status, &allow.parse().expect("a value"))
            );
        }
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_gate_refuses_a_post_before_its_body_is_read() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let post = |path: &str, headers: &str| {
        let head =
            format!("POST /api/rke/{path} HTTP/1.1\r\ncontent-length: 1000000\r\nexpect: 100-continue\r\n");
        raw(stage.daemon.address(), format!("{head}x-rke-session: {id}\r\n{headers}\r\n\r\n"))
    };
    for path in ["encrypt", "decrypt", "seal", "open"] {
        for (headers, status) in [
            ("host: evil.example", 421),
            ("host: localhost\r\norigin: http://evil.example", 403),
            ("host: localhost\r\norigin: null", 403),
            ("host: localhost\r\norigin: http://evil.example\r\ncontent-type: text/plain", 403),
            ("host: localhost\r\nsec-fetch-site: cross-site\r\nsec-fetch-mode: navigate", 403),
            (
                "host: localhost\r\norigin: http://localhost:1\r\nsec-fetch-site: same-site\r\nsec-fetch-mode: no-cors",
                403,
            ),
        ] {
            // No `100 Continue` comes first, because the daemon does not want the body.
            let answer = post(path, headers).await;
            assert_eq!((answer.status, &answer.json()["code"]), (status, &status.into()), "{path} {headers}");
            assert_eq!(answer.header("connection"), Some("close"), "{path} {headers}");
        }
    }
    let shown = stage.get(&format!("/api/rke/session/{id}")).await.json();
    assert_eq!((&shown["encrypt_count"], &shown["decrypt_count"]), (&0.into(), &0.into()));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_may_is_told_the_nonce() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let page = [
        ("origin", "http://localhost:3000"),
        ("sec-fetch-site", "same-site"),
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-dest", "empty"),
        ("x-rke-session", &id),
    ];
    let reply = post(stage.daemon.address(), "encrypt", &page, "text").await;
    assert_eq!(
        (reply.status, reply.header("access-control-allow-origin")),
        (200, Some("http://localhost:3000"))
    );
    assert!(reply.header("access-control-expose-headers").expect("it is there").contains("X-RKE-Nonce"));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_waits_for_leave_to_send_and_gets_it() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let file = stage.dir.path().join("data");
    std::fs::write(&file, data(3_000_000)).expect("written");
    let url = format!("http://{}/api/rke/encrypt", stage.daemon.address());
    let session = format!("X-RKE-Session: {id}");
    // Longer than curl waits by default, so that a missing `100 Continue` is noticed.
    let arguments =
        ["-sSv", "--expect100-timeout", "120", "--max-time", "60", "-X", "POST", "-H", &session, "-T"];
    let output = Command::new("curl").args(arguments).arg(&file).arg(&url).output().expect("curl runs");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && log.contains("< HTTP/1.1 100 Continue"), "{log}");
    assert_eq!(output.stdout.len(), 3_000_000);
    stage.stop().await;
}
