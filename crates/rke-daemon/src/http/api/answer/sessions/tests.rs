use std::sync::Arc;

use rke_engine::model::key_origin::samples::origin;
use rke_proto::Form;
use serde_json::{Value, json};

use super::super::tests::check_written;
use super::*;

#[tokio::test]
async fn what_is_written_by_hand_is_what_serde_writes() {
    for remote in [None, Some(Remote::Pending)] {
        check_written(|| Deleted::new("0123456789abcdefABCDEF0123456789".into(), None, remote)).await;
    }
}

fn row(form: Form, key_id: Option<KeyId>) -> SessionInfo {
    SessionInfo {
        session_id: "0123456789abcdef0123456789abcdef".into(),
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: Timestamp::UNIX_EPOCH,
        encrypt_count: 1,
        decrypt_count: 2,
        from_cache: true,
        origin: Arc::new(origin(form)),
        key_id,
        lives_until: None,
    }
}

fn shown(form: Form, key_id: Option<KeyId>) -> Value {
    serde_json::to_value(Shown::new(row(form, key_id), None, false)).expect("JSON")
}

#[test]
fn a_session_of_handshake_3_shows_the_name_of_its_key_and_the_proven_coin() {
    let shown = shown(Form::Wide, Some(KeyId([0xab; 16])));
    assert_eq!(shown["key_id"], "ab".repeat(16));
    assert_eq!(shown["coin"], "0:42");
    assert_eq!((&shown["confirmed"], &shown["forward_secret"]), (&json!(true), &json!(true)));
    assert_eq!(shown["authenticated"], "strong");
}

#[test]
fn a_session_over_1_byte_shares_proves_no_coin_and_says_what_it_is_worth() {
    let weak = shown(Form::Handshake3Narrow, Some(KeyId([0xab; 16])));
    let live = shown(Form::Live, None);
    for (name, of_weak, of_live) in [
        ("key_id", json!("ab".repeat(16)), json!(null)),
        ("coin", json!(null), json!(null)),
        ("confirmed", json!(true), json!(false)),
        ("forward_secret", json!(true), json!(false)),
        ("authenticated", json!("weak"), json!("no")),
        ("key_bits", json!(256), json!(8)),
        ("tunnel_broken_off", json!(null), json!(null)),
        ("key_gone", json!(false), json!(false)),
    ] {
        assert_eq!((weak.get(name), live.get(name)), (Some(&of_weak), Some(&of_live)), "{name}");
    }
}

#[test]
fn the_list_counts_its_weak_sessions_after_the_documented_fields() {
    let forms = [Form::Wide, Form::Live, Form::Handshake3Narrow, Form::Live];
    let rows = forms.map(|form| row(form, None));
    let text =
        serde_json::to_string(&Listed::of(Count { total: 5, active: 4, held: None }, &rows)).expect("JSON");
    assert!(text.contains(r#""total":5,"active":4,"sessions":["#), "{text}");
    assert!(text.ends_with(r#"],"weak":2,"weakly_authenticated":1}"#), "{text}");
}

#[test]
fn the_new_fields_follow_the_documented_ones_in_this_order() {
    let text = serde_json::to_string(&Shown::new(row(Form::Wide, None), None, false)).expect("JSON");
    let place = |name: &str| text.find(&format!("\"{name}\":")).expect("a field");
    let names =
        ["decrypt_count", "key_bits", "confirmed", "key_id", "forward_secret", "authenticated", "coin"];
    assert!(names.map(place).is_sorted(), "{text}");
}
