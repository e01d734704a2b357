use hyper::header::HeaderValue;

use super::*;

fn of(name: &'static str, value: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(name.parse().expect("a name"), HeaderValue::from_static(value))])
}

#[test]
fn an_exit_status_that_was_announced_must_come() {
    for (announced, trailer, status, is_end) in [
        ("RKE-Exit-Status", "0", Some(0), true),
        ("Expires, rke-exit-status", "0", Some(0), true),
        ("RKE-Exit-Status", "3", Some(3), false),
        ("RKE-Exit-Status", "-1", Some(-1), false),
        ("RKE-Exit-Status", "much", None, false),
        ("Expires", "3", None, true),
    ] {
        let mut known = ExitStatus::announced(&of("trailer", announced));
        assert_eq!(known.at_the_end().is_ok(), announced == "Expires", "{announced}");
        known.note(&of("rke-exit-status", trailer));
        assert_eq!(known.at_the_end().is_ok(), is_end, "{announced} {trailer}");
        assert_eq!(known == ExitStatus::Known(status.unwrap_or(7)), status.is_some());
    }
}
