//! Requests with a mistake that people make: the response says what to do instead.

use serde_json::json;

use crate::real::{Real, request_with};
use crate::support::{Answer, Stage, again, raw, request};
use crate::wire::{data, post, post_json, post_pieces};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn message(answer: &Answer, status: u16) -> String {
    let json = answer.json();
    assert_eq!((answer.status, &json["code"]), (status, &status.into()), "{json}");
    json["message"].as_str().expect("a message").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn json_of_another_type_is_recognised() {
    const TOLD: &str = "Missing 'X-RKE-Session' header. The body looks like JSON: send it with the header Content-Type: application/json";
    let stage = Stage::new().await;
    let (address, id) = (stage.daemon.address(), stage.create_id().await);
    let body = json!({"session_id": id, "plaintext": "SGk="}).to_string();
    for path in ["encrypt", "decrypt", "seal", "open"] {
        for headers in [&[FORM][..], &[("content-type", "text/plain;charset=UTF-8")], &[]] {
            assert_eq!(post(address, path, headers, body.clone()).await.refusal(400), TOLD, "{path}");
        }
        assert_eq!(post(address, path, &[FORM], format!(" \n{body}")).await.refusal(400), TOLD, "{path}");
        for other in ["", "session_id=0&plaintext=SGk%3D", "\"text\""] {
            let told = post(address, path, &[FORM], other).await.refusal(400);
            assert_eq!(told, "Missing 'X-RKE-Session' header", "{path} {other}");
        }
        // Nobody knows when this one begins.
        let told = post_pieces(address, path, &[FORM], body.as_bytes(), 7).await.refusal(400);
        assert_eq!(told, "Missing 'X-RKE-Session' header", "{path}");
    }
    // With its header it is data like all other.
    let sealed = post(address, "seal", &[FORM, ("x-rke-session", &id)], body.clone()).await.good();
    assert_eq!(post(address, "open", &[("x-rke-session", &id)], sealed).await.good(), body.as_bytes());
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_in_the_query_of_a_post_are_missed_in_its_body() {
    let stage = Stage::new().await;
    let address = stage.daemon.address();
    let target = stage.create_target();
    let told = message(&request(address, "POST", &target).await, 400);
    let expected =
        "The body is empty: domain, wallet_path and fresh belong in it, as a JSON object, not in the query";
    assert_eq!(told, expected);
    let told = message(&request(address, "POST", "/api/rke/session").await, 400);
    assert_eq!(told, "The body is empty: domain, wallet_path and fresh belong in it, as a JSON object");
    let json = ("content-type", "application/json");
    let told = post(address, "encrypt", &[json], "").await.refusal(400);
    assert_eq!(told, "The body is empty: session_id and plaintext belong in it, as a JSON object");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_ignores_nothing() {
    let stage = Stage::new().await;
    let (address, id) = (stage.daemon.address(), stage.create_id().await);
    let delete = format!("/api/rke/session/delete?session_id={id}");
    for more in ["&forgte=true", "&_=1", "&forget=true&x"] {
        let told = message(&stage.get(&(delete.clone() + more)).await, 400);
        let expected = "Unknown parameter; this endpoint takes only: session_id, forget, verify, everywhere";
        assert_eq!(told, expected, "{more}");
    }
    let told = message(&stage.get("/api/rke/session/delete?x=1").await, 400);
    assert_eq!(told, "Missing 'session_id' parameter");
    for target in
        ["/api/rke/sessions".to_owned(), "/api/rke/keys".to_owned(), format!("/api/rke/session/{id}")]
    {
        for (headers, body) in [
            ("content-length: 19", r#"{"domain":"x.test"}"#),
            ("transfer-encoding: chunked", "2\r\n{}\r\n0\r\n\r\n"),
        ] {
            let bytes = request_with("DELETE", &target, &format!("host: localhost\n{headers}")) + body;
            let told = message(&raw(address, bytes).await, 400);
            assert!(
                told.starts_with("This endpoint takes no body, and nothing was deleted"),
                "{target}: {told}"
            );
        }
    }
    let listed = stage.get("/api/rke/sessions").await.json();
    assert_eq!((&listed["total"], &stage.get("/api/rke/keys").await.json()["total"]), (&1.into(), &1.into()));
    // A body without a byte is none, and elsewhere one that nobody needs does no harm.
    let renew =
        request_with("POST", &format!("/api/rke/session/{id}/renew"), "host: localhost\ncontent-length: 2");
    assert_eq!(raw(address, renew + "{}").await.status, 200);
    for (headers, body) in [("content-length: 0", ""), ("transfer-encoding: chunked", "0\r\n\r\n")] {
        let bytes = request_with("DELETE", "/api/rke/keys", &format!("host: localhost\n{headers}")) + body;
        assert_eq!(raw(address, bytes).await.status, 200, "{headers}");
    }
    assert_eq!(stage.get(&(delete + "&")).await.status, 200);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compressed_body_is_not_taken_for_data() {
    let stage = Stage::new().await;
    let (address, id) = (stage.daemon.address(), stage.create_id().await);
    let (session, gzip) = (("x-rke-session", id.as_str()), ("content-encoding", "gzip"));
    let tunnel = format!("session/{id}/tunnel");
    for path in ["session", "encrypt", "seal", "open", "status", &tunnel] {
        let told = post(address, path, &[session, gzip], data(1000)).await.refusal(415);
        assert!(told.contains("without the header Content-Encoding"), "{path}: {told}");
    }
    let told = post_pieces(address, "seal", &[session, gzip], &data(1000), 100).await.refusal(415);
    assert!(told.contains("are not decoded"), "{told}");
    post(address, "seal", &[session, ("content-encoding", "identity")], data(1000)).await.good();
    // Without a body there is nothing to decode.
    let encrypt = format!("/api/rke/encrypt?session_id={id}&plaintext=SGk=");
    let get = request_with("GET", &encrypt, "host: localhost\ncontent-encoding: gzip");
    assert_eq!(raw(address, get).await.status, 200);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_that_cannot_be_read_is_called_malformed() {
    let real = Real::start(&[]).await;
    let id = real.create_id();
    let post = |path: &str, headers: &str, body: &str| {
        let headers = format!("host: localhost\ntransfer-encoding: chunked\nx-rke-session: {id}\n{headers}");
        request_with("POST", &format!("/api/rke/{path}"), headers.trim_end()) + body
    };
    for (path, headers) in [("session", ""), ("encrypt", ""), ("seal", "content-type: application/json")] {
        for chunks in ["zz\r\n", "-1\r\n", "ffffffffffffffffff\r\n"] {
            let told = message(&real.send(post(path, headers, chunks)), 400);
            assert!(told.starts_with("The request's body is malformed"), "{path} {chunks:?}: {told}");
        }
    }
    // A response that has begun cannot become an error, and is cut.
    for (path, chunks) in [
        ("encrypt".to_owned(), "2\r\nabc"),
        ("seal".to_owned(), "3\r\nabc\r\nzz\r\n"),
        (format!("session/{id}/tunnel"), "3\r\nabc\r\nzz\r\n"),
    ] {
        let before = real.log().len();
        real.send_raw(post(&path, "", chunks));
        again(async || {
            let log = real.log()[before..].to_owned();
            if log.contains("the body is malformed") { Ok(()) } else { Err(format!("{path}: {log}")) }
        })
        .await;
        assert!(!real.log().contains("the client hung up"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_not_taken_for_none() {
    let real = Real::start(&["--require-token"]).await;
    let get = |headers: &str| {
        let headers = format!("host: localhost\n{headers}");
        message(&real.send(request_with("GET", "/api/rke/status", headers.trim_end())), 401)
    };
    for none in ["", "authorization: Basic abc"] {
        assert!(get(none).starts_with("This daemon requires its access token"), "{none}");
    }
    for wrong in ["abc".to_owned(), "0".repeat(64)] {
        let told = get(&format!("authorization: Bearer {wrong}"));
        assert!(told.starts_with("The access token is not this daemon's"), "{told}");
    }
    assert_eq!(post_json(real.address, "session", &json!({})).await.status, 401);
}
