//! The interface of the fuzz targets to the requests of SAEs and their certificates. No shipped program has this module.

use hyper::Method;

use super::request::{self, Request};
use super::sae;

/// A request that can be served. The SAE is the one at the other end.
#[derive(Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The status.
    Status(String),
    /// New keys for an SAE: how many, and of how many bits.
    Make(String, usize, u32),
    /// Keys of an SAE with these ids.
    Fetch(String, Vec<String>),
}

/// Reads a request.
///
/// # Errors
/// The status and the body of the refusal.
pub fn read_request(method: &[u8], path: &str, query: &str, body: &[u8]) -> Result<Wanted, (u16, String)> {
    let method = Method::from_bytes(method).unwrap_or(Method::PATCH);
    match request::read(&method, path, query, body) {
        Ok(Request::Status(sae)) => Ok(Wanted::Status(sae.to_string())),
        Ok(Request::Make { slave, number, size }) => Ok(Wanted::Make(slave.to_string(), number, size.bits())),
        Ok(Request::Fetch { master, ids }) => {
            Ok(Wanted::Fetch(master.to_string(), ids.iter().map(ToString::to_string).collect()))
        }
        Err(refusal) => Err((refusal.status().as_u16(), refusal.to_json())),
    }
}

/// The SAE that a certificate names.
pub fn sae_of_certificate(certificate: &[u8]) -> Option<String> {
    sae::named_by(certificate).map(|sae| sae.to_string())
}
