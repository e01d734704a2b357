//! The ids of sessions. Anyone who knows one can use the session, so they are compared in constant time and never
//! logged. Outside the daemon they are written as 32 hex digits.

use std::fmt;
use std::hash::{Hash, Hasher};

use hex_simd::AsOut;
use subtle::ConstantTimeEq;

/// Length of a session id in bytes. It is written as twice as many hex digits.
pub const SESSION_ID_LEN: usize = 16;

/// The id of a session: 16 random bytes from the system. Anyone who knows it can use the session, so it is compared
/// in constant time and never logged.
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
pub struct SessionId(pub(crate) [u8; SESSION_ID_LEN]);

impl SessionId {
    /// A new id.
    ///
    /// # Errors
    /// If the system's generator fails.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; SESSION_ID_LEN];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// Parses 32 hex digits of either case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; SESSION_ID_LEN];
        if text.len() != 2 * SESSION_ID_LEN {
            return None;
        }
        hex_simd::decode(text.as_bytes(), bytes.as_mut_slice().as_out()).ok()?;
        Some(Self(bytes))
    }

    /// The bytes of the id.
    pub fn as_bytes(&self) -> &[u8; SESSION_ID_LEN] {
        &self.0
    }
}

impl PartialEq for SessionId {
    fn eq(&self, other: &Self) -> bool {
        u128::from_ne_bytes(self.0).ct_eq(&u128::from_ne_bytes(other.0)).into()
    }
}

impl Hash for SessionId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(u128::from_ne_bytes(self.0));
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}
