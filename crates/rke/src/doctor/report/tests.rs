use serde_json::{Value, json};

use super::*;

fn report() -> Report {
    let mut report = Report::default();
    report.ok("memory", "all is well");
    report.warn("clock", "it may be wrong\x1b[2J", "set it");
    report.fail("daemon", "it is not there", "start it");
    report
}

#[test]
fn each_finding_has_its_cure_below() {
    let text = anstream::adapter::strip_str(&report().text()).to_string();
    let expected = "\
OK    memory     all is well
WARN  clock      it may be wrong\u{fffd}[2J
                 → set it
FAIL  daemon     it is not there
                 → start it
1 ok, 1 to look at, 1 failed";
    assert_eq!(text, expected);
}

#[test]
fn programs_get_the_same_as_json() {
    let json: Value = serde_json::from_str(&report().json()).expect("JSON");
    assert_eq!((&json["command"], &json["success"]), (&"rke_doctor".into(), &false.into()));
    assert_eq!(json["findings"][0], json!({"check": "memory", "result": "ok", "message": "all is well"}));
    assert_eq!(json["findings"][2]["cure"], "start it");
}
