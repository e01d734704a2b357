use super::*;

#[test]
fn a_label_is_allowed_by_its_name_or_by_its_start() {
    let labels = |patterns: &[&str]| ExportLabels::new(patterns.iter().map(ToString::to_string).collect());
    let some = labels(&["wireguard", "tls:*"]);
    for (label, is_allowed) in [
        ("wireguard", true),
        ("wireguard2", false),
        ("wire", false),
        ("tls:", true),
        ("tls:psk", true),
        ("tls", false),
        ("*", false),
    ] {
        assert_eq!(some.allow(label), is_allowed, "{label}");
    }
    assert!(!ExportLabels::default().allow("wireguard") && labels(&["*"]).allow("anything"));
}
