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

#[test]
fn each_program_names_itself() {
    let (daemon, server) = ("daemon", "Content Server");
    for (Texts { missing, wrong }, own, other) in
        [(OF_DAEMON, daemon, server), (OF_CONTENT_SERVER, server, daemon)]
    {
        for text in [missing, wrong] {
            assert!(text.contains(own) && !text.contains(other), "{text}");
        }
    }
}
