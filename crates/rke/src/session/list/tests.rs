use serde_json::json;

use super::*;
use crate::terminal::arranged;

const ID: &str = "0123456789abcdef0123456789abcdef";

/// The titles and the row of a session in a terminal of this width.
fn shown(width: usize) -> [String; 2] {
    let row = json!({"session_id": ID, "domain": "content.example.com", "cs_id": "CS-EXAMPLE-1", "encrypt_count": 3,
        "created_at": "2025-11-30T10:00:00Z", "expires_at": "2025-11-30T11:00:00Z", "decrypt_count": 0});
    let rows: Vec<SessionSummary> = serde_json::from_value(json!([row])).expect("a session");
    let text = arranged(&COLUMNS, cells(&rows, &Details::new()), width);
    let plain = anstream::adapter::strip_str(&text).to_string();
    let lines: Vec<String> = plain.lines().map(Into::into).collect();
    lines.try_into().expect("titles and a row")
}

#[test]
fn ids_are_cut_before_a_column_goes() {
    for (width, id, titles) in [
        (usize::MAX, ID, "SESSION DOMAIN CS ID OPENED EXPIRES ENCRYPTED DECRYPTED STATE"),
        (80, &ID[..8], "SESSION DOMAIN CS ID OPENED EXPIRES STATE"),
        (60, &ID[..8], "SESSION DOMAIN EXPIRES STATE"),
    ] {
        let [head, row] = shown(width);
        assert_eq!(head.split_whitespace().collect::<Vec<_>>().join(" "), titles, "{width}");
        assert_eq!(row.split(' ').next(), Some(id), "{width}: {row}");
        assert!(head.chars().count() <= width && row.chars().count() <= width, "{width}: {row}");
    }
}
