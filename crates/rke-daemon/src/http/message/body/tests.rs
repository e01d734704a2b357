use super::*;

fn kind(values: &[&str]) -> Option<Kind> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::CONTENT_TYPE, value.parse().expect("a value"));
    }
    Kind::of(&headers).ok()
}

#[test]
fn only_json_is_json() {
    for text in
        ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json ;a"]
    {
        assert_eq!(kind(&[text]), Some(Kind::Json), "{text}");
    }
    for text in
        ["", "text/plain", "application/jsonl", "application/x; application/json", "application / json"]
    {
        assert_eq!(kind(&[text]), Some(Kind::Raw), "{text}");
    }
    assert_eq!(kind(&[]), Some(Kind::Raw));
    assert_eq!(kind(&["application/json", "text/plain"]), None);
}

#[test]
fn a_body_without_an_end_is_broken_off_unless_its_chunks_are_wrong() {
    use io::ErrorKind::{ConnectionReset, InvalidData, InvalidInput, UnexpectedEof};
    for (kind, expected) in [
        (InvalidInput, Incomplete::Malformed),
        (InvalidData, Incomplete::Malformed),
        (UnexpectedEof, Incomplete::BrokenOff),
        (ConnectionReset, Incomplete::BrokenOff),
    ] {
        let cause = io::Error::new(kind, "hyper's words");
        assert_eq!(Incomplete::by(&axum::Error::new(cause)), expected, "{kind:?}");
    }
    assert_eq!(Incomplete::by(&axum::Error::new("no cause")), Incomplete::BrokenOff);
}
