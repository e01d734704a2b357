use serde_json::json;

use super::*;

fn found(agreed_at: Option<&str>, of_raida_7: &str, fault: bool) -> (usize, String) {
    let faults =
        fault.then(|| json!({"guardian": "https://g.example/host.txt", "fault": "no response in time"}));
    let rows = agreed_at.map(|at| {
        let row =
            |raida: u8, at: &str| json!({"raida": raida, "endpoints": [], "guardians": 3, "agreed_at": at});
        json!([row(1, at), row(7, of_raida_7)])
    });
    let known = json!({"guardians": 4, "needed": 3, "agreed_at": agreed_at, "asked_at": agreed_at, "answered": 3,
        "faults": faults.into_iter().collect::<Vec<_>>(), "raidas": rows.unwrap_or(json!([]))});
    let known = serde_json::from_value(known).expect("a directory");
    let mut report = Report::default();
    check(&mut report, &known, "2026-01-10T00:00:00Z".parse().expect("a time"));
    (report.failures(), report.text())
}

#[test]
fn a_directory_that_is_empty_old_or_disputed_is_found() {
    let (new, old) = ("2026-01-09T00:00:00Z", "2026-01-01T00:00:00Z");
    let (failures, text) = found(Some(new), new, false);
    assert!(failures == 0 && text.contains("2 of 25 RAIDAs") && !text.contains("refresh"), "{text}");
    let (failures, text) = found(None, new, false);
    assert!(failures == 1 && text.contains("empty") && text.contains("rke raidas refresh"), "{text}");
    let (failures, text) = found(Some(old), old, false);
    assert!(failures == 0 && text.contains("rke raidas refresh") && !text.contains("these"), "{text}");
    let text = found(Some(new), old, true).1;
    assert!(
        text.contains("over three days: 7") && text.contains("g.example/host.txt: no response"),
        "{text}"
    );
}
