//! The activity log, and the receipts of sessions that have ended: over HTTP and on the command line.

use rke_engine::model::usage::UsageLimits;
use serde_json::{Value, json};

use crate::dev::Dev;
use crate::support::{DOMAIN, Stage, again, again_blocking, config, expire, request};

/// The events, newest first.
async fn events(stage: &Stage) -> Vec<Value> {
    let answer = stage.get("/api/rke/activity").await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.json()["events"].as_array().expect("events").clone()
}

fn named<'a>(events: &'a [Value], name: &str) -> &'a Value {
    events.iter().find(|event| event["event"] == name).unwrap_or_else(|| panic!("no {name} in {events:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happens_to_sessions_is_told_newest_first_and_no_id_is_whole() {
    let stage = Stage::with(|config| {
        config.reloadable.key_limits = UsageLimits { messages: 1, bytes: 1000 };
    });
    let stage = stage.await;
    let id = stage.create_id().await;
    let encrypt = format!("/api/rke/encrypt?session_id={id}&plaintext=YQ==");
    let statuses = [stage.get(&encrypt).await.status, stage.get(&encrypt).await.status];
    assert_eq!(statuses, [200, 409]);
    assert_eq!(stage.get(&encrypt).await.status, 409);
    request(stage.daemon.address(), "POST", &format!("/api/rke/session/{id}/renew")).await;
    stage.get("/api/rke/session?domain=nowhere.test&wallet_path=/nowhere").await;
    request(stage.daemon.address(), "PUT", "/api/rke/status").await;
    stage.create_id().await;
    let deleted = request(stage.daemon.address(), "DELETE", "/api/rke/sessions?forget=true").await;
    assert_eq!(deleted.json()["deleted"], 2);
    let events = events(&stage).await;
    for (name, detail, count) in [
        ("daemon_started", Value::Null, 1),
        ("session_used_up", Value::Null, 1),
        ("session_renewed", Value::Null, 1),
        ("session_refused", json!("wallet"), 1),
        ("request_refused", json!("method"), 1),
        ("session_created", json!("from_cache"), 1),
        ("session_deleted", Value::Null, 1),
        ("keys_forgotten", Value::Null, 1),
    ] {
        let event = named(&events, name);
        assert_eq!((&event["detail"], &event["count"]), (&detail, &json!(count)), "{event}");
        let is_of_session = name.starts_with("session_") && name != "session_refused";
        assert_eq!(event["session"].is_string(), is_of_session, "{event}");
    }
    let used_up = events.iter().filter(|event| event["event"] == "session_used_up").count();
    assert_eq!((used_up, &named(&events, "session_renewed")["session"]), (1, &json!(id[..8])));
    assert_eq!(named(&events, "session_deleted")["receipt"]["how"], "request_for_all");
    assert_eq!(events.last().expect("events")["event"], "daemon_started");
    assert!(!json!(events).to_string().contains(&id[..16]), "{events:?}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_has_the_memory_scan_and_what_the_other_end_has_shown() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let key_id = stage.get(&format!("/api/rke/session/{id}")).await.json()["key_id"].clone();
    let delete = format!("/api/rke/session/delete?session_id={id}&verify=true&everywhere=true");
    let deleted = stage.get(&delete).await.json();
    // The response waits for the other end, but not for as long as a busy machine may take.
    let events = again(async || {
        let events = events(&stage).await;
        let is_confirmed = events.iter().any(|event| event["event"] == "remote_deletion_confirmed");
        if is_confirmed { Ok(events) } else { Err(format!("{events:?}")) }
    })
    .await;
    let event = named(&events, "session_deleted");
    let receipt = &event["receipt"];
    assert_eq!((&event["session"], &event["domain"]), (&json!(id[..8]), &json!(DOMAIN)));
    assert_eq!((&receipt["how"], &receipt["remote"]), (&json!("request"), &json!("forgotten")));
    assert_eq!(receipt["wipe"], deleted["wipe"]);
    assert_eq!(receipt["key_id"], json!(key_id.as_str().expect("a key id")[..8]));
    assert!(receipt["remote_at"].is_string(), "{receipt}");
    assert_eq!(named(&events, "remote_deletion_confirmed")["session"], json!(id[..8]));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_or_cannot_be_confirmed_has_a_receipt_too() {
    let stage = Stage::new().await;
    stage.create_id().await;
    let settings = config(&stage.dir, stage.network.dns_address());
    stage.network.stop().await;
    expire(&stage.daemon, settings).await;
    let expired = again(async || {
        let body = crate::support::get(stage.daemon.address(), "/api/rke/activity").await.json();
        let mut events = body["events"].as_array().expect("events").clone().into_iter();
        events.find(|event| event["event"] == "session_expired").ok_or_else(|| body.to_string())
    })
    .await;
    let receipt = &expired["receipt"];
    assert_eq!((&receipt["how"], &receipt["remote"]), (&json!("expiry"), &json!("pending")));
    assert_eq!((&receipt["remote_at"], &receipt["wipe"]), (&Value::Null, &Value::Null));
    stage.daemon.stop().await;
}

#[test]
fn the_command_shows_a_table_or_the_answer_itself() {
    let dev = Dev::start();
    let id = dev.create_id();
    assert_eq!(dev.rke(&["session", "delete", &id, "--verify", "--everywhere"]).code, Some(0));
    // The command waits for the other end, but not for as long as a busy machine may take.
    let text = again_blocking(|| {
        let text = dev.rke(&["activity"]).text();
        if text.contains("wiped it too") { Ok(text) } else { Err(text) }
    });
    for part in ["WHEN", &id[..8], DOMAIN, "session deleted", "wiped it too", "nothing in ", "new shares"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains(&id), "{text}");
    let json: Value = serde_json::from_str(&dev.rke(&["activity", "--json"]).text()).expect("JSON");
    assert_eq!((&json["command"], &json["success"]), (&json!("rke_activity"), &json!(true)));
}
