//! `GET /openapi.json`: the document that describes the API to programs. A test generates it (`http/openapi`).

use axum::http::header;
use axum::response::IntoResponse;

pub(in crate::http) const DOCUMENT: &str = include_str!("../../../openapi.json");

pub(in crate::http) async fn show() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT)
}
