use super::*;

#[test]
fn every_file_of_the_book_is_served_with_a_policy() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/book");
    for file in std::fs::read_dir(folder).expect("the folder") {
        let name = file.expect("a file").file_name().into_string().expect("UTF-8");
        let response = answer(&name);
        assert_eq!(response.status(), StatusCode::OK, "{name}");
        let policy = response.headers()[header::CONTENT_SECURITY_POLICY].to_str().expect("text");
        assert!(policy.starts_with("default-src 'none'"), "{name}: {policy}");
        assert!(!policy.contains("script-src"), "{name}: {policy}");
        assert_eq!(policy.contains("unsafe-inline"), name.ends_with(".svg"), "{name}: {policy}");
    }
}

#[test]
fn what_is_not_in_the_book_is_not_found() {
    for name in ["", "..", "../Cargo.toml", "errors.md", "INDEX.html"] {
        assert_eq!(answer(name).status(), StatusCode::NOT_FOUND, "{name}");
    }
}
