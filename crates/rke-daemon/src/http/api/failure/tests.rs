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

#[test]
fn what_passes_says_when_to_try_again() {
    let id = "0".repeat(32);
    let not_held = Failure::key(KeyError::NotHeld, &id);
    let words = "This machine could not confirm in time that the session still exists; try again";
    assert_eq!(not_held.to_json(), json_of(503, words, &id));
    let unsettled = StoreError::Unsettled { retry_after: Duration::from_secs(15) };
    let failure = Failure::use_of_session(&unsettled, &id);
    assert_eq!(failure.status(), StatusCode::SERVICE_UNAVAILABLE);
    let response = axum::response::IntoResponse::into_response(failure);
    assert_eq!(response.headers()["retry-after"], "15");
}

#[test]
fn what_the_store_says_of_a_session_has_the_words_of_a_daemon_of_its_own() {
    let id = "0".repeat(32);
    let of = |error: &StoreError| Failure::use_of_session(error, &id).to_json();
    assert_eq!(of(&StoreError::NotFound), Failure::key(KeyError::NotFound, &id).to_json());
    assert_eq!(of(&StoreError::UsedUp), Failure::key(UsedUp.into(), &id).to_json());
    let damaged = "A record in the store is damaged, or was changed by someone without the key";
    assert_eq!(of(&StoreError::Damaged), json_of(500, damaged, &id));
    let overtaken = "This machine's copy of the session ended at this moment. Try again";
    assert_eq!(of(&StoreError::Overtaken), json_of(503, overtaken, &id));
}

fn json_of(code: u16, message: &str, id: &str) -> Vec<u8> {
    let status = StatusCode::from_u16(code).expect("a status");
    Failure::new(status, message).with("session_id", id).to_json()
}
