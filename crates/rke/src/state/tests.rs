use serde_json::{Value, json};

use super::*;

/// The state of a session with this lifetime and this remaining time, in seconds. `different` overrides fields of a
/// good one.
fn said(life: i64, left: i64, different: Value) -> (Style, String) {
    let opened: Timestamp = "2025-11-30T10:00:00Z".parse().expect("a time");
    let at = |seconds: i64| Timestamp::from_second(opened.as_second() + seconds).expect("a time");
    let mut session = json!({"session_id": "00", "domain": "d.test", "cs_id": "C", "created_at": opened.to_string(),
        "expires_at": at(life).to_string(), "encrypt_count": 0, "decrypt_count": 0, "key_bits": 256, "envelope": [5],
        "raidas": [0], "liars": [], "from_cache": false, "confirmed": true, "key_id": null, "forward_secret": true,
        "authenticated": "strong", "coin": null});
    session.as_object_mut().expect("an object").extend(different.as_object().cloned().expect("an object"));
    let shown: Shown = serde_json::from_value(session).expect("a session");
    state_at(at(life - left), &shown.row, Some(&shown))
}

#[test]
fn each_doubt_has_its_words_and_the_worst_its_style() {
    for (different, style, words) in [
        (json!({}), GOOD, "ok"),
        (json!({"authenticated": "no"}), BAD, "weak"),
        (json!({"authenticated": "weak"}), DOUBTFUL, "weakly authenticated"),
        (json!({"liars": [3]}), DOUBTFUL, "wrong share left out"),
        (json!({"key_gone": false}), GOOD, "ok"),
        (json!({"key_gone": true, "authenticated": "weak"}), BAD, "key gone, weakly authenticated"),
        (
            json!({"authenticated": "no", "confirmed": false, "liars": [1]}),
            BAD,
            "weak, not confirmed, wrong share left out",
        ),
    ] {
        assert_eq!(said(3600, 3000, different), (style, words.into()));
    }
}

#[test]
fn a_session_expires_soon_in_its_last_tenth_and_at_most_five_minutes() {
    for (life, left, words) in [
        (3600, 300, "ok"),
        (3600, 299, "expires soon"),
        (90_000, 300, "ok"),
        (90_000, 299, "expires soon"),
        (600, 60, "ok"),
        (600, 59, "expires soon"),
        (600, -1, "expires soon"),
    ] {
        assert_eq!(said(life, left, json!({})).1, words, "{left} s of {life}");
    }
}

#[test]
fn a_raida_without_the_key_set_is_told_from_one_that_is_silent() {
    let raida = |state: &str, fault: Option<&str>| -> Raida {
        let raida = json!({"raida": 7, "endpoint": null, "state": state, "last_ms": null, "median_ms": null,
            "asked": 1, "answered": 0, "lies": 0, "form": null, "last_fault": fault, "last_fault_at": null});
        serde_json::from_value(raida).expect("a RAIDA")
    };
    assert!(has_no_key_set(&raida("failing", Some("refused: no such key set (212)"))));
    for (state, fault) in [
        ("failing", None),
        ("failing", Some("no answer")),
        ("failing", Some("refused: coin not found (25)")),
        // It was preloaded again.
        ("well", Some("refused: no such key set (212)")),
    ] {
        assert!(!has_no_key_set(&raida(state, fault)), "{state} {fault:?}");
    }
}

#[test]
fn nothing_is_said_of_a_session_that_is_not_known() {
    let shown: SessionSummary = serde_json::from_value(
        json!({"session_id": "00", "domain": "d.test", "cs_id": "C", "encrypt_count": 0,
        "created_at": "2025-11-30T10:00:00Z", "expires_at": "2025-11-30T11:00:00Z", "decrypt_count": 0}),
    )
    .expect("a row");
    assert_eq!(state(&shown, None), (DIM, "-".into()));
}
