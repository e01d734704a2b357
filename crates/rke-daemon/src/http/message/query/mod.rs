//! Query parameters, read strictly. A value that is repeated, is not UTF-8 or contains a NUL byte is an error that
//! names the parameter. Nothing is guessed. Both percent-encoding and form-encoding are accepted.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use base64_simd::STANDARD;
use memchr::{memchr, memchr3};
use percent_encoding::percent_decode;
use rke_engine::sessions::Nonce;

use super::failure::Failure;

/// `%` and two digits.
const ESCAPE_LEN: usize = 3;

/// The query string of a request, not decoded. Frequent requests borrow it from the connection's buffer.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::http) struct Query<'a>(Cow<'a, str>);

impl<S: Sync> FromRequestParts<S> for Query<'static> {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Query(Query::of(&parts.uri).0.into_owned().into()))
    }
}

impl<'a> Query<'a> {
    pub(in crate::http) fn of(uri: &'a Uri) -> Self {
        Self::new(uri.query().unwrap_or_default())
    }

    /// The query after the `?` of a target.
    pub(in crate::http) fn new(text: &'a str) -> Self {
        Self(text.into())
    }

    /// The query as it was sent.
    #[cfg(feature = "testing")]
    pub(in crate::http) fn text(&self) -> &str {
        &self.0
    }

    /// Whether there may be more than one parameter.
    pub(in crate::http) fn has_several(&self) -> bool {
        memchr(b'&', self.0.as_bytes()).is_some()
    }

    /// Whether it contains characters that httparse accepts and hyper refuses.
    pub(in crate::http) fn has_what_no_uri_has(&self) -> bool {
        let bytes = self.0.as_bytes();
        memchr3(b'"', b'<', b'>', bytes).or_else(|| memchr(b'#', bytes)).is_some()
    }

    /// Its length in bytes, with its `?`.
    pub(in crate::http) fn len(&self) -> usize {
        if self.0.is_empty() { 0 } else { 1 + self.0.len() }
    }

    /// The parameters as they were sent.
    fn pairs(&self) -> impl Iterator<Item = &str> {
        let mut rest = Some(&*self.0);
        std::iter::from_fn(move || {
            let text = rest?;
            let end = memchr(b'&', text.as_bytes()).unwrap_or(text.len());
            rest = text.get(end + 1..);
            Some(&text[..end])
        })
    }

    /// A parameter's value as it was sent.
    fn sent(&self, name: &str) -> Result<Option<&str>, Failure> {
        let mut values = self.pairs().filter_map(|pair| match pair.strip_prefix(name)? {
            "" => Some(""),
            rest => rest.strip_prefix('='),
        });
        let value = values.next();
        if values.next().is_some() {
            return Err(Failure::invalid(name, "given once"));
        }
        Ok(value)
    }

    /// Refuses parameters other than `names`. A misspelt parameter that limits a deletion would otherwise delete
    /// everything.
    ///
    /// # Errors
    /// 400 with the names of the known parameters.
    pub(in crate::http) fn only(&self, names: &[&str]) -> Result<(), Failure> {
        let mut keys = self.pairs().map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key));
        match keys.find(|key| !key.is_empty() && !names.contains(key)) {
            Some(_) => Err(Failure::unknown_parameter(names)),
            None => Ok(()),
        }
    }

    /// A parameter's value. `None` if it is missing or empty.
    ///
    /// # Errors
    /// 400 if it is given twice, is not UTF-8 or contains a NUL byte.
    pub(in crate::http) fn optional(&self, name: &str) -> Result<Option<Cow<'_, str>>, Failure> {
        Ok(self.given(name)?.filter(|value| !value.is_empty()))
    }

    /// A parameter's value, which may be empty. `None` if it is missing.
    ///
    /// # Errors
    /// 400 as in [`Query::optional`].
    pub(in crate::http) fn given(&self, name: &str) -> Result<Option<Cow<'_, str>>, Failure> {
        let Some(value) = self.sent(name)? else { return Ok(None) };
        if memchr3(b'%', b'+', b'\0', value.as_bytes()).is_none() {
            return Ok(Some(value.into()));
        }
        let spaced = if value.contains('+') { value.replace('+', " ").into() } else { Cow::from(value) };
        let decoded = percent_decode(spaced.as_bytes()).decode_utf8();
        let decoded = decoded.map_err(|_| Failure::invalid(name, "valid UTF-8"))?;
        if decoded.contains('\0') {
            return Err(Failure::invalid(name, "without NUL bytes"));
        }
        Ok(Some(decoded.into_owned().into()))
    }

    /// A parameter's value.
    ///
    /// # Errors
    /// 400 as in [`Query::optional`], and if it is missing or empty.
    pub(in crate::http) fn required(&self, name: &str) -> Result<Cow<'_, str>, Failure> {
        self.optional(name)?.ok_or_else(|| Failure::missing(name))
    }

    /// A switch: `true` or `false`. `false` if it is missing.
    ///
    /// # Errors
    /// 400 for any other value, including an empty one.
    pub(in crate::http) fn flag(&self, name: &str) -> Result<bool, Failure> {
        match self.given(name)?.as_deref() {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(Failure::invalid(name, "true or false")),
        }
    }

    /// The bytes of a Base64 parameter. A `+` that arrived as a space is read as `+`.
    ///
    /// # Errors
    /// 400.
    pub(in crate::http) fn base64(&self, name: &str) -> Result<Vec<u8>, Failure> {
        let sent = self.sent(name)?.unwrap_or_default();
        match STANDARD.decode_to_vec(decode_long(sent.as_bytes())) {
            Ok(data) if !sent.is_empty() => Ok(data),
            // Any other fault of the parameter is reported first.
            _ => self.required(name).and(Err(Failure::base64())),
        }
    }

    /// The 16 bytes of the `nonce` parameter, from 32 hex characters.
    ///
    /// # Errors
    /// 400, with the same documented message for a missing and a malformed nonce.
    pub(in crate::http) fn nonce(&self) -> Result<Nonce, Failure> {
        self.optional("nonce")?.as_deref().and_then(parse_nonce).ok_or_else(Failure::nonce)
    }
}

/// Percent-decodes a long text that contains few escapes or none. Decoded spaces become `+`. A malformed escape
/// keeps its `%`, which never occurs in Base64.
fn decode_long(mut text: &[u8]) -> Cow<'_, [u8]> {
    if memchr(b'%', text).is_none() {
        return text.into();
    }
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(at) = memchr(b'%', text) {
        let (plain, rest) = text.split_at(at);
        let (escape, rest) = rest.split_at(rest.len().min(ESCAPE_LEN));
        decoded.extend_from_slice(plain);
        decoded.extend(percent_decode(escape).map(|byte| if byte == b' ' { b'+' } else { byte }));
        text = rest;
    }
    decoded.extend_from_slice(text);
    decoded.into()
}

/// Parses a nonce of 32 hex characters.
pub(in crate::http) fn parse_nonce(text: &str) -> Option<Nonce> {
    let mut nonce = Nonce::default();
    hex::decode_to_slice(text, &mut nonce).ok()?;
    Some(nonce)
}

#[cfg(test)]
mod tests;
