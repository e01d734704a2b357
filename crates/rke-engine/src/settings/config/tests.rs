use super::*;

#[test]
fn what_takes_a_new_start_is_named() {
    let current = Fixed::new("/a".into());
    assert!(current.differences(&current).is_empty());
    let wanted = Fixed {
        dnssec: Dnssec::Require,
        dnssec_anchors: Some("/k".into()),
        body_timeout: Duration::from_secs(7),
        fast_path: FastPath::Off,
        token: TokenRule::Required,
        audit_log: Some("/l".into()),
        ..Fixed::new("/b".into())
    };
    let named = [
        "data-dir",
        "dnssec",
        "dnssec-anchors",
        "body-timeout",
        "no-fast-path",
        "require-token",
        "audit-log",
    ];
    assert_eq!(current.differences(&wanted), named);
    let shared = |path: &str| Fixed { token: TokenRule::Shared(path.into()), ..Fixed::new("/b".into()) };
    assert_eq!(shared("/t").differences(&shared("/u")), ["shared-token"]);
    assert_eq!(shared("/t").differences(&Fixed::new("/b".into())), ["require-token", "shared-token"]);
}
