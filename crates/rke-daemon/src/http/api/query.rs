//! Query parameters, taken strictly: a value that is given twice, is not UTF-8 or holds a NUL byte
//! is refused by the parameter's name, never guessed at. Both percent- and form-encoding are read.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use base64_simd::STANDARD;
use memchr::{memchr, memchr3};
use percent_encoding::percent_decode;
use rke_engine::sessions::Nonce;

use super::failure::Failure;

/// `%`, and two digits.
const ESCAPE_LEN: usize = 3;

/// The query string of a request, undecoded. Frequent requests borrow it from where it was read.
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

    /// What stands behind the `?` of a target.
    pub(in crate::http) fn new(text: &'a str) -> Self {
        Self(text.into())
    }

    /// Whether there may be more than one parameter.
    pub(in crate::http) fn has_several(&self) -> bool {
        memchr(b'&', self.0.as_bytes()).is_some()
    }

    /// Whether it holds what httparse lets pass and hyper refuses.
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

    /// Refuses parameters that are not named: where one narrows what is deleted, a misspelt one would delete
    /// everything.
    ///
    /// # Errors
    /// 400 that names the first.
    pub(in crate::http) fn only(&self, names: &[&str]) -> Result<(), Failure> {
        let mut keys = self.pairs().map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key));
        match keys.find(|key| !key.is_empty() && !names.contains(key)) {
            Some(_) => Err(Failure::unknown_parameter(names)),
            None => Ok(()),
        }
    }

    /// A parameter's value. `None` where it is missing or empty.
    ///
    /// # Errors
    /// 400 where it is given twice, is not UTF-8 or holds a NUL byte.
    pub(in crate::http) fn optional(&self, name: &str) -> Result<Option<Cow<'_, str>>, Failure> {
        Ok(self.given(name)?.filter(|value| !value.is_empty()))
    }

    /// A parameter's value, which may be empty. `None` where it is missing.
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
    /// 400 as in the rules above, and where it is missing or empty.
    pub(in crate::http) fn required(&self, name: &str) -> Result<Cow<'_, str>, Failure> {
        self.optional(name)?.ok_or_else(|| Failure::missing(name))
    }

    /// A switch: `true`, or `false` as when it is missing.
    ///
    /// # Errors
    /// 400 for any other value, an empty one too.
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
            // What else may be wrong with it is said first.
            _ => self.required(name).and(Err(Failure::base64())),
        }
    }

    /// The 16 bytes of the `nonce` parameter, from 32 hex characters.
    ///
    /// # Errors
    /// 400, with one documented message for a missing and for a malformed nonce.
    pub(in crate::http) fn nonce(&self) -> Result<Nonce, Failure> {
        self.optional("nonce")?.as_deref().and_then(parse_nonce).ok_or_else(Failure::nonce)
    }
}

/// Percent-decodes a long text, of which little is encoded or nothing, with spaces turned to `+`. What is not
/// well encoded keeps a `%`, which no Base64 has.
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

/// The nonce that 32 hex characters spell.
pub(in crate::http) fn parse_nonce(text: &str) -> Option<Nonce> {
    let mut nonce = Nonce::default();
    hex::decode_to_slice(text, &mut nonce).ok()?;
    Some(nonce)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(text: &str) -> Query<'_> {
        Query::new(text)
    }

    #[test]
    fn reads_percent_and_form_encoding() {
        let query = query("a=x%20y+z%2B&b=&c&d=%C3%A9");
        assert_eq!(query.required("a").expect("a"), "x y z+");
        assert_eq!(query.required("d").expect("d"), "\u{e9}");
        assert!(query.required("b").is_err() && query.required("c").is_err() && query.required("e").is_err());
    }

    #[test]
    fn a_switch_is_true_or_false_and_nothing_else() {
        assert!(query("a=true").flag("a").expect("a") && !query("a=false").flag("a").expect("a"));
        assert!(!query("b=true").flag("a").expect("a"));
        for text in ["a=", "a", "a=1", "a=TRUE", "a=true&a=true"] {
            assert!(query(text).flag("a").is_err(), "{text}");
        }
    }

    #[test]
    fn only_named_parameters_pass_where_that_is_asked_for() {
        for text in ["", "&", "domain=x", "domain=x&forget=true&"] {
            assert!(query(text).only(&["domain", "forget"]).is_ok(), "{text}");
        }
        for text in ["domian=x", "forget=true&Domain=x", "session_id", "domain[]=x"] {
            assert!(query(text).only(&["domain", "forget"]).is_err(), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_ambiguous() {
        for text in ["a=1&a=2", "a=%ff", "a=%00", "a=1&a="] {
            let failure = query(text).required("a").expect_err(text);
            assert!(String::from_utf8_lossy(&failure.to_json()).contains("Missing or invalid 'a' parameter"));
        }
    }

    #[test]
    fn a_plus_in_base64_may_arrive_as_a_space() {
        for text in ["p=+/+/", "p=%2B/%2B/", "p=%20/+/", "p=%2b%2f%2b%2F"] {
            assert_eq!(query(text).base64("p").expect(text), [0xFB, 0xFF, 0xBF]);
        }
        for text in ["p=abc", "p=!!!!", "p=YQ", "p=YR==", "p=YQ%3", "p=Y%%3D=", "p=YWF%", "p=%59%5", "p=Y-E_"]
        {
            assert!(query(text).base64("p").is_err(), "{text}");
        }
    }
}
