//! What a request's `Content-Type` says that its body is.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::http::api::failure::Failure;

/// The two kinds of bodies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::http) enum Kind {
    /// A JSON object that holds the data.
    Json,
    /// The data itself: every other type, and none.
    Raw,
}

impl Kind {
    /// The kind that the headers name.
    ///
    /// # Errors
    /// 400 where they name two.
    pub(in crate::http) fn of(headers: &HeaderMap) -> Result<Self, Failure> {
        Self::told_by(headers.get_all(header::CONTENT_TYPE).iter().map(HeaderValue::as_bytes))
    }

    /// The kind that these values of the header name.
    ///
    /// # Errors
    /// As [`Kind::of`].
    pub(in crate::http) fn told_by<'a>(mut types: impl Iterator<Item = &'a [u8]>) -> Result<Self, Failure> {
        let (Some(first), second) = (types.next(), types.next()) else { return Ok(Self::Raw) };
        if second.is_some() {
            return Err(Failure::invalid_header("Content-Type", "given once"));
        }
        let essence = first.split(|byte| *byte == b';').next().unwrap_or_default();
        let is_json = essence.trim_ascii().eq_ignore_ascii_case(b"application/json");
        Ok(if is_json { Self::Json } else { Self::Raw })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(values: &[&str]) -> Option<Kind> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CONTENT_TYPE, value.parse().expect("a value"));
        }
        Kind::of(&headers).ok()
    }

    #[test]
    fn only_json_is_json() {
        for text in
            ["application/json", "Application/JSON", "application/json; charset=utf-8", "application/json ;a"]
        {
            assert_eq!(kind(&[text]), Some(Kind::Json), "{text}");
        }
        for text in
            ["", "text/plain", "application/jsonl", "application/x; application/json", "application / json"]
        {
            assert_eq!(kind(&[text]), Some(Kind::Raw), "{text}");
        }
        assert_eq!(kind(&[]), Some(Kind::Raw));
        assert_eq!(kind(&["application/json", "text/plain"]), None);
    }
}
