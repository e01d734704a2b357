use super::*;

#[test]
fn the_scheme_is_bearer_in_any_case() {
    for text in ["Bearer abc", "bearer abc", "BEARER   abc"] {
        assert_eq!(bearer(text.as_bytes()), Some(&b"abc"[..]), "{text}");
    }
    for text in ["", "abc", "Basic abc", "Bearerabc", "Bearer"] {
        assert_eq!(bearer(text.as_bytes()), None, "{text}");
    }
}
