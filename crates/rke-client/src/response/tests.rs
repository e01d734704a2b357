use super::*;

#[test]
fn an_id_is_not_printed_by_accident() {
    let id: SessionId = serde_json::from_str("\"a1b2c3d4e5f67890a1b2c3d4e5f67890\"").expect("an id");
    assert_eq!(format!("{id:?}"), "SessionId(a1b2c3d4…)");
    assert_eq!(id.as_str(), "a1b2c3d4e5f67890a1b2c3d4e5f67890");
}

#[test]
fn data_comes_out_of_base64_or_not_at_all() {
    let plain: Plain = serde_json::from_str(r#"{"plaintext":"SGk=","length":2,"new":1}"#).expect("data");
    assert_eq!(plain.plaintext, b"Hi");
    assert!(serde_json::from_str::<Plain>(r#"{"plaintext":"SGk"}"#).is_err());
}

fn shown(more: &str) -> Shown {
    let row = r#""session_id":"00","domain":"a.test","cs_id":"CS","created_at":"2025-11-30T10:00:00Z",
        "expires_at":"2025-11-30T11:00:00Z","encrypt_count":0,"decrypt_count":0,"key_bits":256,"envelope":[4],
        "raidas":[0],"liars":[],"from_cache":true,"confirmed":true"#;
    serde_json::from_str(&format!("{{{row},{more}}}")).expect("a session")
}

#[test]
fn a_session_names_its_key_and_its_coin() {
    let wide = shown(r#""key_id":"ab","forward_secret":true,"authenticated":"strong","coin":"0:1001""#);
    assert_eq!((wide.key_id.as_deref(), wide.coin.as_deref()), (Some("ab"), Some("0:1001")));
    assert_eq!((wide.forward_secret, wide.authenticated), (true, Authenticated::Strong));
    let weak = shown(r#""key_id":null,"forward_secret":false,"authenticated":"no","coin":null"#);
    assert_eq!((weak.key_id, weak.coin, weak.authenticated), (None, None, Authenticated::No));
    assert!(!weak.key_gone, "a daemon that does not say so");
    let gone = r#""key_id":"ab","forward_secret":true,"authenticated":"strong","coin":null,"key_gone":true"#;
    assert!(shown(gone).key_gone);
}

#[test]
fn what_a_later_daemon_says_passes_for_the_worst() {
    let odd = shown(r#""key_id":null,"forward_secret":true,"authenticated":"perfect","coin":null"#);
    assert_eq!(odd.authenticated, Authenticated::No);
    let deleted = |remote: &str| {
        let text = format!(r#"{{"session_id":"00","remote":"{remote}"}}"#);
        serde_json::from_str::<Deleted>(&text).expect("an end").remote
    };
    assert_eq!(deleted("forgotten"), Some(Remote::Forgotten));
    assert_eq!(deleted("unsupported"), Some(Remote::Unsupported));
    assert_eq!((deleted("pending"), deleted("perhaps")), (Some(Remote::Pending), Some(Remote::Pending)));
}
