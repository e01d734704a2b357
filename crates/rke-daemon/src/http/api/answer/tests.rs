use axum::Json;
use axum::body::to_bytes;
use serde::Serialize;

use super::*;

/// Compares the hand-written response with the one that serde makes.
pub(in crate::http) async fn check_written<T: IntoResponse + Serialize>(answer: impl Fn() -> T) {
    let mut both = Vec::new();
    for response in [answer().into_response(), Json(answer()).into_response()] {
        let (head, body) = response.into_parts();
        both.push((head.headers, to_bytes(body, 1_000_000).await.expect("a body")));
    }
    assert_eq!(both[0], both[1]);
}
