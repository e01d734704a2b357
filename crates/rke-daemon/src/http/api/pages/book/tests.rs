use super::*;

#[test]
fn every_file_of_the_book_is_served_with_a_policy() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/book");
    for file in std::fs::read_dir(folder).expect("the folder") {
        let name = file.expect("a file").file_name().into_string().expect("UTF-8");
        let response = answer(&name).expect("a file");
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'"), "{name}: {policy}");
        let scripts =
            policy.contains("script-src 'self';") && policy.contains("require-trusted-types-for 'script'");
        assert_eq!(scripts, !name.ends_with(".svg"), "{name}: {policy}");
        assert_eq!(policy.contains("unsafe-inline"), name.ends_with(".svg"), "{name}: {policy}");
    }
}

#[test]
fn what_is_not_in_the_book_is_not_found() {
    for name in ["", "..", "../Cargo.toml", "errors.md", "INDEX.html"] {
        assert!(answer(name).is_none(), "{name}");
    }
}

#[test]
fn a_browser_gets_a_page_in_place_of_one_that_is_missing_and_programs_get_json() {
    for (accept, html) in [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
        ("application/json, Text/HTML;q=0.5", true),
        ("*/*", false),
        ("application/json", false),
    ] {
        let response = missing(&HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]));
        let kind = if html { HTML } else { "application/json" };
        assert_eq!(
            (response.status(), &response.headers()[header::CONTENT_TYPE]),
            (StatusCode::NOT_FOUND, &HeaderValue::from_static(kind)),
            "{accept}"
        );
        assert_eq!(response.headers().contains_key(header::CONTENT_SECURITY_POLICY), html, "{accept}");
        assert_eq!(response.headers()[header::VARY], "accept");
    }
    assert_eq!(missing(&HeaderMap::new()).headers()[header::CONTENT_TYPE], "application/json");
}
