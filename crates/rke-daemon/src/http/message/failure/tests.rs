use super::*;

#[test]
fn a_response_has_every_header_that_it_was_given() {
    let busy = Failure::new(StatusCode::TOO_MANY_REQUESTS, "Later").retry_after(Duration::from_secs(7));
    let response = busy.closing().challenging().into_response();
    let header = |name: header::HeaderName| response.headers()[name].to_str().expect("ASCII").to_owned();
    assert_eq!((header(header::RETRY_AFTER), header(header::CONNECTION)), ("7".into(), "close".into()));
    assert!(header(header::WWW_AUTHENTICATE).starts_with("Bearer"));
}
