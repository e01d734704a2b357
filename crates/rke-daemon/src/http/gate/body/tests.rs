use axum::body::Body;
use axum::http::HeaderName;

use super::*;

/// The status of a request with this body, or 200 if it passes.
async fn status(rule: BodyRule, headers: &[(HeaderName, &str)], body: &str) -> u16 {
    let request =
        headers.iter().fold(Request::post("/"), |request, (name, value)| request.header(name, *value));
    let request = request.body(Body::from(body.to_owned())).expect("a request");
    check(request, rule).await.map_or_else(|failure| failure.status().as_u16(), |_| 200)
}

#[tokio::test]
async fn a_body_is_refused_where_there_should_be_none() {
    for (rule, body, expected) in [
        (BodyRule::Empty, "", 200),
        (BodyRule::Empty, "{}", 400),
        (BodyRule::Small, "{}", 200),
        (BodyRule::Data, "{}", 200),
        (BodyRule::Stream, "{}", 200),
    ] {
        assert_eq!(status(rule, &[], body).await, expected, "{rule:?} {body:?}");
    }
}

#[tokio::test]
async fn an_encoded_body_is_refused_everywhere() {
    let encoding = header::CONTENT_ENCODING;
    for rule in [BodyRule::Empty, BodyRule::Small, BodyRule::Data, BodyRule::Stream] {
        for name in ["gzip", "br", "identity, gzip", ""] {
            assert_eq!(status(rule, &[(encoding.clone(), name)], "data").await, 415, "{rule:?} {name}");
            assert_eq!(status(rule, &[(encoding.clone(), name)], "").await, 200, "{rule:?} {name}: no body");
        }
    }
    assert_eq!(status(BodyRule::Data, &[(encoding.clone(), "Identity")], "data").await, 200);
    assert_eq!(
        status(BodyRule::Data, &[(encoding.clone(), "identity"), (encoding, "gzip")], "data").await,
        415
    );
}
