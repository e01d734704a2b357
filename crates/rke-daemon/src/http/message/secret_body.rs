//! The body of a response that holds a key. It is wiped once it is sent, or once the client is gone: hyper hands it to the
//! connection as it is, without a copy of its own.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use base64_simd::STANDARD;
use zeroize::{Zeroize, Zeroizing};

/// JSON that holds keys.
pub(crate) struct SecretBody(Zeroizing<Vec<u8>>);

impl SecretBody {
    /// An empty body with room for this many bytes.
    pub(crate) fn with_capacity(len: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(len)))
    }

    /// Adds JSON.
    pub(crate) fn push(&mut self, json: &str) {
        self.make_room(json.len());
        self.0.extend_from_slice(json.as_bytes());
    }

    /// Adds bytes in Base64.
    pub(crate) fn push_base64(&mut self, bytes: &[u8]) {
        self.make_room(STANDARD.encoded_length(bytes.len()));
        STANDARD.encode_append(bytes, &mut *self.0);
    }

    /// The bytes, which are wiped when the last of their holders drops them.
    pub(crate) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }

    /// A vector that grows leaves its old memory as it is; this wipes it.
    fn make_room(&mut self, more: usize) {
        let len = self.0.len() + more;
        if len > self.0.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * len));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
    }
}

impl Drop for SecretBody {
    /// TLS copies the bytes to where it encrypts them, and what copies leaves them in registers that nothing else may use for a long
    /// time. The connection drops its body in the thread that has copied it, and the end of a scope wipes that thread's registers.
    fn drop(&mut self) {
        #[cfg(feature = "fault-injection")]
        if rke_secret::fault_injection::is_injected(rke_secret::fault_injection::Fault::KeepResponses) {
            drop(std::mem::take(&mut *self.0));
        }
        // Without secret memory there was no key to respond with.
        let _ = rke_secret::scoped(|| self.0.zeroize());
    }
}

impl AsRef<[u8]> for SecretBody {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl IntoResponse for SecretBody {
    fn into_response(self) -> Response {
        let json = HeaderValue::from_static("application/json");
        ([(header::CONTENT_TYPE, json)], Body::from(self.into_bytes())).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_grows_as_needed_and_keeps_its_bytes() {
        let mut body = SecretBody::with_capacity(1);
        (0..100).for_each(|_| body.push("[]"));
        body.push_base64(&[0; 300]);
        assert_eq!(body.as_ref(), ["[]".repeat(100), "A".repeat(400)].concat().as_bytes());
    }
}
