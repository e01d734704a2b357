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
fn each_state_of_a_raida_has_its_words() {
    for (state, style, words) in [
        ("well", GOOD, "healthy"),
        ("failing", DOUBTFUL, "no response"),
        ("no_key_set", DOUBTFUL, "no key set"),
        ("lying", BAD, "wrong share"),
        ("unknown", DIM, "not asked yet"),
        ("of a later daemon", DIM, "not asked yet"),
    ] {
        assert_eq!(of_raida(state), (style, words));
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
