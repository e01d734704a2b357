use super::*;

#[test]
fn what_is_not_asked_for_is_not_in_the_request() {
    let call = create("a.test", Path::new("/w"), KeyChoice::Cached);
    assert_eq!(call.body, Some(json!({"domain": "a.test", "wallet_path": "/w"})));
    let call = create("a.test", Path::new("/w"), KeyChoice::Fresh);
    assert_eq!(call.body, Some(json!({"domain": "a.test", "wallet_path": "/w", "fresh": true})));
    let call = delete("x", CachedKey::Keep, Receipt::None, OtherEnd::Background);
    assert_eq!(call.target, "/api/rke/session/x");
    let call = delete("x", CachedKey::Forget, Receipt::Wanted, OtherEnd::Wait);
    assert_eq!(call.target, "/api/rke/session/x?forget=true&verify=true&everywhere=true");
    assert_eq!(
        delete_all(Some("a.test"), CachedKey::Forget).target,
        "/api/rke/sessions?domain=a.test&forget=true"
    );
    assert_eq!(seal("x", b"Hi", b"").body, Some(json!({"session_id": "x", "plaintext": "SGk="})));
    assert_eq!(open("x", b"Hi", b"a").body.expect("a body")["associated_data"], "YQ==");
}

#[test]
fn an_id_stays_one_part_of_the_path() {
    assert_eq!(show("../status?x#").target, "/api/rke/session/%2E%2E%2Fstatus%3Fx%23");
    assert_eq!(discover("a b&c").target, "/api/rke/discover?domain=a%20b%26c");
}
