//! The requests that a daemon accepts, each as a value that knows the type of its response.

use std::marker::PhantomData;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::Method;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};

use crate::response::{
    Activity, Count, Created, Deleted, Encrypted, Exported, Found, Keys, Plain, Raidas, Renewed, Sealed,
    Sessions, Shown, Status,
};

/// Characters to escape in a query value: all except the unreserved ones of RFC 3986, and `/`.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// A request whose successful response reads as a `T`.
#[derive(Debug, Clone)]
pub struct Call<T> {
    pub(crate) method: Method,
    pub(crate) target: String,
    pub(crate) body: Option<Value>,
    response: PhantomData<fn() -> T>,
}

impl<T> Call<T> {
    /// A request of any kind. `target` is the path with its query.
    pub fn new(method: Method, target: impl Into<String>, body: Option<Value>) -> Self {
        Self { method, target: target.into(), body, response: PhantomData }
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

/// Whether a new session sends requests to the RAIDAs. Each session has its own key either way, except with 8-bit
/// keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum KeyChoice {
    /// Only if the cache has no key for the domain.
    #[default]
    Cached,
    /// Always.
    Fresh,
}

/// What happens to a domain's cached key when its session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CachedKey {
    /// It stays for the next session.
    #[default]
    Keep,
    /// It is removed.
    Forget,
}

/// Whether a deletion waits for the Content Server, which wipes its copy of the key too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OtherEnd {
    /// No: the daemon follows it up in the background.
    #[default]
    Background,
    /// For up to five seconds; the response says whether the copy is wiped.
    Wait,
}

/// Whether the daemon scans its memory for the wiped key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Receipt {
    /// No.
    #[default]
    None,
    /// Yes, and the response reports the result.
    Wanted,
}

/// Asks whether the daemon can take work. If not, the refusal has `reasons`.
pub fn ready() -> Call<Value> {
    Call::get("/health/ready")
}

/// Opens a session. The wallet is a path on the daemon's machine.
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

/// Extends a session by its full lifetime.
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

/// Encrypts a small amount of data, without protecting it against modification.
pub fn encrypt(id: &str, data: &[u8]) -> Call<Encrypted> {
    Call::post("/api/rke/encrypt", json!({"session_id": id, "plaintext": STANDARD.encode(data)}))
}

/// The reverse of [`encrypt`].
pub fn decrypt(id: &str, data: &[u8], nonce: &str) -> Call<Plain> {
    let body = json!({"session_id": id, "ciphertext": STANDARD.encode(data), "nonce": nonce});
    Call::post("/api/rke/decrypt", body)
}

/// Seals a small amount of data and authenticates associated data, which the result does not contain. The result
/// opens only in this session, while the session lives.
pub fn seal(id: &str, data: &[u8], associated: &[u8]) -> Call<Sealed> {
    Call::post(
        "/api/rke/seal",
        with_associated(json!({"session_id": id, "plaintext": STANDARD.encode(data)}), associated),
    )
}

/// The reverse of [`seal`]. Refuses modified data.
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

/// Derives a key of `length` bytes, 16 to 64, for another program. The other end derives the same one from the same label,
/// context and length.
pub fn export(id: &str, label: &str, context: &[u8], length: usize) -> Call<Exported> {
    let context = STANDARD.encode(context);
    let body = json!({"session_id": id, "label": label, "context": context, "length": length});
    Call::post("/api/rke/export", body)
}

/// Lists the cached keys.
pub fn keys() -> Call<Keys> {
    Call::get("/api/rke/keys")
}

/// Removes all cached keys, or those of a domain.
pub fn forget_keys(domain: Option<&str>) -> Call<Count> {
    let parameters: Vec<_> = domain.into_iter().map(|domain| ("domain", domain)).collect();
    Call::delete(target("/api/rke/keys", &parameters))
}

/// Looks a domain up in DNS.
pub fn discover(domain: &str) -> Call<Found> {
    Call::get(target("/api/rke/discover", &[("domain", domain)]))
}

/// Shows what happened to sessions and keys, with a receipt for each session that has ended.
pub fn activity() -> Call<Activity> {
    Call::get("/api/rke/activity")
}

/// Shows the state of the RAIDAs.
pub fn raidas() -> Call<Raidas> {
    Call::get("/api/rke/raidas")
}

/// Makes the daemon ask its guardians where the RAIDAs are, and shows the state of the RAIDAs.
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

/// A path segment with any content, escaped.
pub(crate) fn segment(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

#[cfg(test)]
mod tests;
