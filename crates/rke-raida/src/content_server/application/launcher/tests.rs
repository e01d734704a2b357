use super::*;

#[test]
fn a_request_names_no_variables_but_those_of_a_client() {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let two = variables(b"RKE_DOMAIN=a.test\0RKE_COIN=0:1\0");
    assert_eq!(two, Some(vec![pair("RKE_DOMAIN", "a.test"), pair("RKE_COIN", "0:1")]));
    assert_eq!(variables(b""), Some(Vec::new()));
    for other in [&b"LD_PRELOAD=/tmp/x.so\0"[..], b"RKE_COIN\0", b"RKE_COIN=0:1\0PATH=/tmp\0", b"\xff"] {
        assert_eq!(variables(other), None);
    }
}

#[test]
fn a_command_inherits_no_settings_of_the_content_server() {
    for (name, inherited) in [("PATH", true), ("LC_TIME", true), ("RKE_EXEC", false), ("LD_PRELOAD", false)] {
        assert_eq!(is_inherited(OsStr::new(name)), inherited, "{name}");
    }
}
