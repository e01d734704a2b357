//! What a daemon can be asked, each as a value that knows the type of its answer.

use std::marker::PhantomData;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::answer::{
    Count, Created, Deleted, Encrypted, Found, Keys, Plain, Raidas, Renewed, Sealed, Sessions, Shown, Status,
};

/// What is escaped in a query value: everything but what RFC 3986 leaves unreserved, and `/`.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A request whose answer, when it is good, reads as a `T`.
#[derive(Debug, Clone)]
pub struct Call<T> {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) body: Option<Value>,
    answer: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    /// A request of any kind. `target` is the path with its query.
    pub fn new(method: Method, target: impl Into<String>, body: Option<Value>) -> Self {
        Self { method, target: target.into(), body, answer: PhantomData }
    }

    fn get(target: impl Into<String>) -> Self {
        Self::new(Method::GET, target, None)
    }

    fn post(target: impl Into<String>, body: Value) -> Self {
        Self::new(Method::POST, target, Some(body))
    }

    fn delete(target: impl Into<String>) -> Self {
        Self::new(Method::DELETE, target, None)
    }
}

/// Whether the RAIDAs are asked for a new session. Its key is its own in any case, except where keys have 8 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyChoice {
    /// Not where the cache will do.
    #[default]
    Cached,
    /// Always.
    Fresh,
}

/// What becomes of a domain's cached key when its session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CachedKey {
    /// It stays for the next session.
    #[default]
    Keep,
    /// It goes too.
    Forget,
}

/// Whether a deletion waits for the Content Server, which is to wipe its copy of the key too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherEnd {
    /// No: the daemon sees to that in the background.
    #[default]
    Background,
    /// Up to five seconds, and the answer says whether it has.
    Wait,
}

/// Whether the daemon is to look for a wiped key in its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Receipt {
    /// No.
    #[default]
    None,
    /// Yes, and say what it found.
    Wanted,
}

/// Asks whether it makes sense to send the daemon work. Where it does not, the refusal has `reasons`.
pub fn ready() -> Call<Value> {
    Call::get("/health/ready")
}

/// Opens a session. The wallet's path is one on the daemon's machine.
pub fn create(domain: &str, wallet: &Path, key: KeyChoice) -> Call<Created> {
    let mut body = json!({"domain": domain, "wallet_path": wallet.to_string_lossy()});
    if key == KeyChoice::Fresh {
        body["fresh"] = true.into();
    }
    Call::post("/api/rke/session", body)
}

/// Lists the sessions.
pub fn list() -> Call<Sessions> {
    Call::get("/api/rke/sessions")
}

/// Shows one session.
pub fn show(id: &str) -> Call<Shown> {
    Call::get(format!("/api/rke/session/{}", segment(id)))
}

/// Lets a session live for its full time again.
pub fn renew(id: &str) -> Call<Renewed> {
    Call::new(Method::POST, format!("/api/rke/session/{}/renew", segment(id)), None)
}

/// Ends a session and wipes its key.
pub fn delete(id: &str, cached: CachedKey, receipt: Receipt, other_end: OtherEnd) -> Call<Deleted> {
    let forget = (cached == CachedKey::Forget).then_some(("forget", "true"));
    let verify = (receipt == Receipt::Wanted).then_some(("verify", "true"));
    let everywhere = (other_end == OtherEnd::Wait).then_some(("everywhere", "true"));
    let parameters: Vec<_> = [forget, verify, everywhere].into_iter().flatten().collect();
    Call::delete(target(&format!("/api/rke/session/{}", segment(id)), &parameters))
}

/// Ends all sessions, or those with a domain.
pub fn delete_all(domain: Option<&str>, cached: CachedKey) -> Call<Count> {
    let domain = domain.map(|domain| ("domain", domain));
    let forget = (cached == CachedKey::Forget).then_some(("forget", "true"));
    let parameters: Vec<_> = [domain, forget].into_iter().flatten().collect();
    Call::delete(target("/api/rke/sessions", &parameters))
}

/// Encrypts a little data; nothing protects it from being altered.
pub fn encrypt(id: &str, data: &[u8]) -> Call<Encrypted> {
    Call::post("/api/rke/encrypt", json!({"session_id": id, "plaintext": STANDARD.encode(data)}))
}

/// The reverse of [`encrypt`].
pub fn decrypt(id: &str, data: &[u8], nonce: &str) -> Call<Plain> {
    let body = json!({"session_id": id, "ciphertext": STANDARD.encode(data), "nonce": nonce});
    Call::post("/api/rke/decrypt", body)
}

/// Seals a little data together with associated data, which is not in the result. It opens only in this
/// session, and only while that session lives.
pub fn seal(id: &str, data: &[u8], associated: &[u8]) -> Call<Sealed> {
    Call::post(
        "/api/rke/seal",
        with_associated(json!({"session_id": id, "plaintext": STANDARD.encode(data)}), associated),
    )
}

/// The reverse of [`seal`]. Refuses what was altered.
pub fn open(id: &str, data: &[u8], associated: &[u8]) -> Call<Plain> {
    Call::post(
        "/api/rke/open",
        with_associated(json!({"session_id": id, "sealed": STANDARD.encode(data)}), associated),
    )
}

fn with_associated(mut body: Value, associated: &[u8]) -> Value {
    if !associated.is_empty() {
        body["associated_data"] = STANDARD.encode(associated).into();
    }
    body
}

/// Lists the cached keys.
pub fn keys() -> Call<Keys> {
    Call::get("/api/rke/keys")
}

/// Forgets all cached keys, or those of a domain.
pub fn forget_keys(domain: Option<&str>) -> Call<Count> {
    let parameters: Vec<_> = domain.into_iter().map(|domain| ("domain", domain)).collect();
    Call::delete(target("/api/rke/keys", &parameters))
}

/// Looks a domain up in DNS.
pub fn discover(domain: &str) -> Call<Found> {
    Call::get(target("/api/rke/discover", &[("domain", domain)]))
}

/// Shows how the RAIDAs have been doing.
pub fn raidas() -> Call<Raidas> {
    Call::get("/api/rke/raidas")
}

/// Makes the daemon ask its guardians where the RAIDAs are, and shows how those have been doing.
pub fn refresh_raidas() -> Call<Raidas> {
    Call::new(Method::POST, "/api/rke/raidas/refresh", None)
}

/// Shows how the daemon is doing.
pub fn status() -> Call<Status> {
    Call::get("/api/rke/status")
}

/// A path with these query parameters.
pub fn target(path: &str, parameters: &[(&str, &str)]) -> String {
    let encoded = |value| utf8_percent_encode(value, VALUE);
    let pairs: Vec<String> =
        parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if pairs.is_empty() { path.into() } else { format!("{path}?{}", pairs.join("&")) }
}

/// A part of a path that may hold anything.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_asked_for_is_not_in_the_request() {
        let call = create("a.test", Path::new("/w"), KeyChoice::Cached);
        assert_eq!(call.body, Some(json!({"domain": "a.test", "wallet_path": "/w"})));
        let call = create("a.test", Path::new("/w"), KeyChoice::Fresh);
        assert_eq!(call.body, Some(json!({"domain": "a.test", "wallet_path": "/w", "fresh": true})));
        let call = delete("x", CachedKey::Keep, Receipt::None, OtherEnd::Background);
        assert_eq!(call.target, "/api/rke/session/x");
        let call = delete("x", CachedKey::Forget, Receipt::Wanted, OtherEnd::Wait);
        assert_eq!(call.target, "/api/rke/session/x?forget=true&verify=true&everywhere=true");
        assert_eq!(
            delete_all(Some("a.test"), CachedKey::Forget).target,
            "/api/rke/sessions?domain=a.test&forget=true"
        );
        assert_eq!(seal("x", b"Hi", b"").body, Some(json!({"session_id": "x", "plaintext": "SGk="})));
        assert_eq!(open("x", b"Hi", b"a").body.expect("a body")["associated_data"], "YQ==");
    }

    #[test]
    fn an_id_stays_one_part_of_the_path() {
        assert_eq!(show("../status?x#").target, "/api/rke/session/%2E%2E%2Fstatus%3Fx%23");
        assert_eq!(discover("a b&c").target, "/api/rke/discover?domain=a%20b%26c");
    }
}
