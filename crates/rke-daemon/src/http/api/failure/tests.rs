use rke_engine::Domain;
use rke_engine::trust::TrustFileError;

use super::*;

#[test]
fn a_request_that_got_no_turn_is_a_503_that_names_its_domain() {
    let domain = "content.example.com";
    for error in [
        OpenError::StillRunning(Domain::new(domain).expect("a domain")),
        OpenError::from(ExchangeError::Crowded),
        OpenError::CalledOff,
    ] {
        let body: Value =
            serde_json::from_slice(&Failure::open(&error, domain, "/wallet").to_json()).expect("JSON");
        let expected = json!({"error": true, "message": error.to_string(), "code": 503, "domain": domain});
        assert_eq!(body, expected);
    }
}

#[test]
fn a_file_that_cannot_be_written_is_not_the_content_servers_fault() {
    let source = std::io::Error::from(std::io::ErrorKind::StorageFull);
    let file = TrustFileError::Write { path: "/data/known-content-servers".into(), source };
    let error = ExchangeError::Untrusted(Untrusted::File(file));
    let failure = Failure::open(&OpenError::from(error), "content.example.com", "/wallet");
    assert_eq!(failure.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
