use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use axum::routing::get;
use rke_engine::settings::access::Access;
use tower::ServiceExt;

use super::*;
use crate::http::gate::AdmissionRules;

#[tokio::test]
async fn a_handler_that_panics_is_a_500_that_tells_nothing() {
    let panics = get(|| async { panic!("the marker") as &str });
    let rules = AdmissionRules::new(&Access::default()).expect("settings");
    let admission = Admission::new(rules, None, Arc::default());
    let request = Request::get("/").header("host", "localhost").header("origin", "http://localhost:3000");
    let request = request.body(Body::empty()).expect("a request");
    let observer = Arc::new(Observer::new(Arc::new(traffic())));
    let guarded = guarded(Rows::NONE, panics, &Arc::new(admission), &observer);
    let response = guarded.oneshot(request).await.expect("an answer");
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()["access-control-allow-origin"], "http://localhost:3000");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let body = to_bytes(response.into_body(), 1000).await.expect("a body");
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((&body["error"], &body["code"]), (&true.into(), &500.into()));
    assert_eq!(body["message"], "Internal error; the log says more");
    assert!(!body.to_string().contains("marker"));
}
