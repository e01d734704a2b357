use serde_json::json;

use super::*;

fn error(code: u16, response: Value) -> Error {
    Refusal { code, text: response.to_string(), response, retry_after: None }.into_error()
}

#[test]
fn each_refusal_has_a_remedy() {
    let session = json!({"message": "Session not found", "session_id": "x"});
    assert!(matches!(error(404, session), Error::SessionGone(_)));
    assert!(matches!(error(404, json!({"message": "No such path"})), Error::Wrong(_)));
    for (code, remedy) in [
        (400, "change the request"),
        (401, "ask the daemon's operator"),
        (409, "open a session with a fresh key"),
        (413, "change the request"),
        (429, "try again later"),
        (500, "see the daemon's log"),
        (502, "check the domain, its DNS records and its Content Server"),
        (503, "try again later"),
    ] {
        assert_eq!(error(code, json!({})).remedy(), remedy, "{code}");
    }
    assert!(error(422, json!({})).remedy().starts_with("do not use this data"));
}

#[test]
fn each_raida_that_failed_is_named_and_equal_faults_are_one_line() {
    let of = |raida: u8, fault: &str| json!({"raida": raida, "fault": fault});
    let faults = [of(7, "no answer"), of(9, "status 198"), of(12, "no answer")];
    let text = error(503, json!({"message": "Only 12", "faults": faults})).to_string();
    assert_eq!(text, "Only 12\n  RAIDAs 7, 12: no answer\n  RAIDA 9: status 198");
}
