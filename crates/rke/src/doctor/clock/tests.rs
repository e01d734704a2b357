use serde_json::json;

use super::*;

#[test]
fn both_keepers_of_time_are_understood() {
    assert_eq!(["yes\n", "no\n", ""].map(systemd_says), [Some(true), Some(false), None]);
    assert!(chrony_says("C0A80001,192.168.0.1,3,1.2,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.1,64.0,Normal\n"));
    assert!(!chrony_says("00000000,,0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,0.0,Not synchronised\n"));
}

/// The findings at time `now`, if `refusing` RAIDAs refuse with `fault`, last at noon, and `accepting` others are
/// healthy.
fn found(refusing: usize, fault: &str, accepting: usize, now: &str) -> (usize, String) {
    let row = |at: usize| {
        let (state, fault) = if at < refusing { ("failing", Some(fault)) } else { ("well", None) };
        json!({"raida": at, "endpoint": null, "state": state, "last_ms": null, "median_ms": null, "asked": 1,
            "answered": 1, "lies": 0, "form": null, "last_fault": fault,
            "last_fault_at": fault.map(|_| "2026-11-30T12:00:00Z")})
    };
    let rows: Vec<_> = (0..refusing + accepting).map(row).collect();
    let known = json!({"required": 13, "margin": null, "raidas": rows});
    let mut report = Report::default();
    compare(&mut report, &serde_json::from_value(known).expect("RAIDAs"), now.parse().expect("a time"));
    (report.failures(), report.text())
}

#[test]
fn a_time_that_most_raidas_refuse_is_the_clocks_fault() {
    let (time, later) = ("refused: bad parameter (198)", "2026-11-30T12:00:07Z");
    for (refusing, accepting) in [(25, 0), (13, 12)] {
        let (failures, text) = found(refusing, time, accepting, later);
        assert_eq!(failures, 1, "{text}");
        let message = format!(
            "{refusing} RAIDAs refused the daemon's time or its coin, last at 2026-11-30T12:00:00Z; here it is {later}"
        );
        assert!(text.contains(&message) && text.contains("set-ntp") && text.contains("--wallet"), "{text}");
    }
    assert!(found(1, time, 0, later).1.contains("RAIDA 0 refused the daemon's time"));
    for (failures, text) in [found(12, time, 13, later), found(1, time, 24, later)] {
        assert!(
            failures == 0 && text.contains("refused a time that") && text.contains("their clocks"),
            "{text}"
        );
    }
    for fault in ["no answer", "refused: nothing listens at its port"] {
        assert!(!found(25, fault, 0, later).1.contains("clock"));
    }
}

#[test]
fn a_clock_that_was_put_back_since_is_not_called_wrong() {
    let (failures, text) = found(25, "refused: bad parameter (198)", 0, "2026-11-30T11:00:00Z");
    assert!(failures == 0 && text.contains("it was put back since"), "{text}");
}
