use super::*;

#[test]
fn loopback_is_recognised_by_whole_labels_and_whole_addresses() {
    for text in [
        "localhost",
        "LocalHost:8080",
        "localhost.",
        "localhost:",
        "127.0.0.1",
        "127.8.9.10:80",
        "[::1]:8080",
        "[::1]",
    ] {
        assert!(Authority::parse(text).is_some_and(|a| a.host.is_loopback()), "{text}");
    }
    for text in [
        "",
        ":8080",
        ".",
        "localhost..",
        "127.evil.com",
        "localhost.evil.com",
        "evil-localhost",
        "user@localhost",
        "localhost:abc",
        "localhost:99999",
        "localhost:80:80",
        "localhost:+80",
        "localhost/",
        "local host",
        "0.0.0.0",
        "127.1",
        "2130706433",
        "0x7f.0.0.1",
        "127.0.0.01",
        "127.0.0.1.",
        "[::]",
        "[::1",
        "::1",
        "[::1]x",
        "[::1%lo]",
        "[[::1]]",
        "[127.0.0.1]",
        "[0:0:0:0:0:0:0:1]",
        "[::01]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]:1",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "127.0.1",
        "0x7f000001",
        "0",
        "foo.localhost",
    ] {
        assert!(!Authority::parse(text).is_some_and(|a| a.host.is_loopback()), "{text}");
    }
}

#[test]
fn names_are_compared_without_regard_to_case_and_final_dot() {
    assert_eq!(Host::parse("Rke.Example."), Host::parse("rke.example"));
    assert_ne!(Host::parse("rke.example"), Host::parse("xrke.example"));
    assert_eq!(Host::parse("[FD00::5]"), Host::parse("[fd00:0::5]"));
    assert_eq!((Host::parse("0x7f"), Host::parse("0X7F")), (None, None), "numbers to a browser");
    assert_ne!(Host::parse("192.168.1.5"), Host::parse("[::ffff:192.168.1.5]"));
}
