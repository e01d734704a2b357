use serde_json::json;

use super::*;

fn rows(beginnings: &[&str]) -> Vec<SessionSummary> {
    let row = |beginning: &&str| {
        json!({"session_id": format!("{beginning:0<32}"), "domain": "d.test", "cs_id": "C", "encrypt_count": 0,
               "created_at": "2025-11-30T10:00:00Z", "expires_at": "2025-11-30T11:00:00Z", "decrypt_count": 0})
    };
    serde_json::from_value(beginnings.iter().map(row).collect()).expect("rows")
}

#[test]
fn one_session_is_found_by_the_beginning_of_its_id() {
    let rows = rows(&["a1", "a2", "b"]);
    for (given, found) in [("a1", "a1"), ("a10", "a1"), ("a2000", "a2"), ("b", "b")] {
        assert_eq!(resolve(given, &rows).expect("one"), format!("{found:0<32}"), "{given}");
    }
    for nobody in ["", "c", "a3", &"b".repeat(32)] {
        assert_eq!(resolve(nobody, &rows).expect("as given"), nobody);
    }
}

#[test]
fn several_are_named_by_what_tells_them_apart() {
    let error =
        |given, beginnings: &[&str]| resolve(given, &rows(beginnings)).expect_err("several").to_string();
    assert_eq!(
        error("a", &["a2", "a1", "b"]),
        "the ids of 2 sessions begin with \"a\": a1000000 (d.test), a2000000 (d.test); give more of the one that is meant"
    );
    assert!(
        error("ab", &["abcdefabcdef1", "abcdefabcdef2"])
            .contains(": abcdefabcdef1 (d.test), abcdefabcdef2 (d")
    );
    let many: Vec<String> = (0..16).map(|at| format!("a{at:x}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(error("a", &many).contains("a7000000 (d.test) and 8 more; "));
}
