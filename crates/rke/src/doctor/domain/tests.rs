use rke_engine::discovery::Target;
use rke_proto::directory::Directory;
use rke_proto::reach::Reach;
use rke_proto::records::Records;
use serde_json::json;

use super::*;

#[test]
fn a_daemon_that_finds_another_set_fails() {
    let found = |key_id: &str| {
        let set = json!({"key_id": key_id, "cs_id": "CS", "server_count": 25});
        let found = json!({"domain": "a.test", "target_host": "cs.a.test", "target_port": 443,
            "min_raidas_required": 13, "key_sets": [set]});
        serde_json::from_value::<Found>(found).expect("an answer")
    };
    let texts = (0..25).map(|at| format!("192.0.2.{at}:1 k1 raida={at}")).chain(["k1 = CS".into()]);
    let texts: Vec<String> = texts.collect();
    let records = Records::parse(texts.iter().map(String::as_str));
    let server = ServerName { host: "cs.a.test".into(), port: 443 };
    let own = Discovered {
        targets: vec![Target { priority: 0, weight: 0, server }],
        sets: records.key_sets(&Directory::default(), Reach::Public),
    };
    for (own, theirs, failures, text) in [
        (Some(&own), "k1", 0, "the daemon finds the same"),
        (Some(&own), "k2", 1, "something else: k2 of CS with 25"),
        (None, "k1", 1, "not found here"),
    ] {
        let mut report = Report::default();
        compare(&mut report, own, &found(theirs));
        assert!(report.failures() == failures && report.text().contains(text), "{}", report.text());
    }
}
