use super::*;

#[test]
fn trailers_go_to_those_who_take_them() {
    for (value, takes) in [
        (Some("trailers"), true),
        (Some("gzip;q=0.5, Trailers"), true),
        (Some("gzip"), false),
        (Some("no-trailers"), false),
        (None, false),
    ] {
        let mut headers = HeaderMap::new();
        value.map(|value| headers.insert(header::TE, HeaderValue::from_static(value)));
        assert_eq!(takes_trailers(&headers), takes, "{value:?}");
    }
}
