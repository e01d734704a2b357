use axum::http::HeaderValue;
use axum::response::IntoResponse;

use super::*;

const MIB: u64 = 1024 * 1024;

fn decide(agent: &str, declared: Option<u64>, is_unix: bool) -> Result<Delivery, u16> {
    let mut headers = HeaderMap::new();
    if !agent.is_empty() {
        headers.insert(header::USER_AGENT, HeaderValue::from_str(agent).expect("a value"));
    }
    let decided = Delivery::decide(&headers, declared, is_unix);
    decided.map_err(|failure| failure.into_response().status().as_u16())
}

#[test]
fn streams_to_clients_that_may_read_at_once() {
    for agent in ["", "curl/8.5.0", "Go-http-client/1.1", "node", "Rubyist", "my Wget/1"] {
        for declared in [Some(0), Some(u64::MAX), None] {
            for is_unix in [false, true] {
                assert_eq!(decide(agent, declared, is_unix), Ok(Delivery::Streamed), "{agent} {declared:?}");
            }
        }
    }
}

#[test]
fn refuses_what_a_late_reader_would_get_stuck_with() {
    for agent in [
        "python-requests/2.32.3",
        "Python-urllib/3.11",
        "Wget/1.21.3",
        "Java/17.0.15",
        "Ruby",
        "Mozilla/5.0 (X11)",
    ] {
        assert_eq!(decide(agent, Some(8 * MIB), false), Ok(Delivery::Streamed));
        assert_eq!(decide(agent, Some(8 * MIB + 1), false), Err(413));
        assert!(matches!(decide(agent, None, false), Ok(Delivery::Held(_))));
        assert!(matches!(decide(agent, Some(MIB), true), Ok(Delivery::Held(_))));
        assert_eq!(decide(agent, Some(MIB + 1), true), Err(413));
    }
}
