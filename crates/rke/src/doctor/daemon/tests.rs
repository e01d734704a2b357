use serde_json::json;

use super::*;

fn found(secret_memory: serde_json::Value) -> (usize, String) {
    let status = json!({"sessions": {"total": 0, "active": 0, "max": 16},
        "keystore": {"total": 0, "valid": 0, "expired": 0, "max": 64, "default_ttl_hours": 24},
        "config": {"session_timeout_sec": 3600}, "secret_memory": secret_memory});
    let mut report = Report::default();
    memory(&mut report, &serde_json::from_value(status).expect("a status"));
    (report.failures(), report.text())
}

#[test]
fn a_daemon_that_does_not_hold_keys_well_is_found() {
    let memory = |kind: &str, inspection: &str, residues: u64| {
        found(json!({"kind": kind, "bytes": 1, "inspection": inspection, "residues_found": residues}))
    };
    assert_eq!(memory("secretmem", "refused", 0).0, 0);
    let (failures, text) = memory("locked", "allowed", 2);
    assert_eq!(failures, 2, "{text}");
    assert!(
        text.contains("root can read") && text.contains("debuggers") && text.contains("2 scratch stacks"),
        "{text}"
    );
}

#[test]
fn a_daemon_without_its_sandbox_is_found() {
    let text = |landlock: &str, seccomp: bool| {
        let sandbox = json!({"landlock": landlock, "seccomp": seccomp, "no_new_privs": true});
        let mut report = Report::default();
        confinement(&mut report, &serde_json::from_value(sandbox).expect("a posture"));
        report.text()
    };
    let (closed, open) = (text("reads_and_writes", true), text("writes", true));
    assert!(!closed.contains("--sandbox") && !closed.contains("everywhere"), "{closed}");
    assert!(open.contains("reads everywhere") && open.contains("--wallet-root"), "{open}");
    assert!(!open.contains("--sandbox"), "{open}");
    for bad in [text("off", true), text("writes", false)] {
        assert!(bad.contains("--sandbox off"), "{bad}");
    }
}

#[test]
fn each_reason_against_sending_work_is_a_failure() {
    let mut report = Report::default();
    not_ready(&mut report, &json!(["the audit log cannot be written", "a new one"]));
    assert!(report.failures() == 2 && report.text().contains("--audit-log"), "{}", report.text());
}

#[test]
fn raidas_that_fail_and_lie_are_told() {
    let known = |margin: Option<usize>, state: &str| {
        let raida = json!({"raida": 7, "endpoint": null, "state": state, "last_ms": null, "median_ms": null,
            "asked": 1, "answered": 1, "lies": 1, "form": null, "last_fault": null, "last_fault_at": null});
        let known = json!({"required": 13, "margin": margin, "raidas": [raida]});
        let mut report = Report::default();
        raidas(&mut report, &serde_json::from_value(known).expect("RAIDAs"));
        (report.failures(), report.text())
    };
    let failures = |margin, state| known(margin, state).0;
    assert_eq!((failures(None, "unknown"), failures(Some(1), "well"), failures(Some(0), "well")), (0, 0, 1));
    assert!(known(Some(1), "lying").1.contains("RAIDA 7 gave a wrong share"));
    let lost = "RAIDA 7 responds, but says that it has no such key set";
    assert!(known(Some(1), "no_key_set").1.contains(lost));
    assert!(!known(Some(1), "failing").1.contains("key set"));
}
