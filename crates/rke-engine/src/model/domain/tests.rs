use super::*;

#[test]
fn domains_are_lower_case_and_have_no_final_dot() {
    assert_eq!(Domain::new("Content.RKE.test.").map(|d| d.to_string()).as_deref(), Some("content.rke.test"));
}

#[test]
fn international_names_become_ascii_and_underscores_stay() {
    for (text, name) in [
        ("M\u{dc}NCHEN.example", "xn--mnchen-3ya.example"),
        ("mu\u{308}nchen\u{3002}example\u{3002}", "xn--mnchen-3ya.example"),
        ("xn--mnchen-3ya.example", "xn--mnchen-3ya.example"),
        ("stra\u{df}e.example", "xn--strae-oqa.example"),
        ("my_host._sub.example", "my_host._sub.example"),
    ] {
        assert_eq!(Domain::new(text).expect(text).as_str(), name, "{text}");
    }
}

#[test]
fn refuses_what_is_no_domain() {
    let long_label = "a".repeat(64);
    let long_name = ["a"; 128].join(".");
    let broken = ["a\u{fffd}", "xn--\u{e9}", "\u{200b}", "a\u{2488}b"];
    let addresses = ["192.0.2.1", "[::1]", "::1", "127.1", "a.9"];
    let plain = ["", ".", "a..b", "-a", "a-", "a b", "a/b", "a:1", "a\0", &long_label, &long_name];
    for bad in plain.into_iter().chain(addresses).chain(broken) {
        assert!(Domain::new(bad).is_none(), "{bad:?}");
    }
    assert!(Domain::new(&"a".repeat(63)).is_some());
}
