//! The ids of sessions' keys and of resumptions, and the tokens and proofs for forgetting them. `docs/protocol.md`
//! section 7.

use std::fmt;

use subtle::ConstantTimeEq;

/// Length of a key id, a resumption id, a forget token and a proof.
pub const ID_LEN: usize = 16;

/// The id of a session's key, the same at both ends. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; ID_LEN]);

/// The id of a resumption secret, drawn by the Content Server. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResumptionId(pub [u8; ID_LEN]);

impl ResumptionId {
    /// A Content Server that grants no resumption sends this.
    const NONE: [u8; ID_LEN] = [0; ID_LEN];

    /// The id in 16 bytes of the wire, `None` for zeros.
    pub fn from_wire(bytes: [u8; ID_LEN]) -> Option<Self> {
        (bytes != Self::NONE).then_some(Self(bytes))
    }
}

/// 32 lower-case hexadecimal digits.
fn write_hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

macro_rules! shown_in_hex {
    ($name:ident) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_hex(&self.0, f)
            }
        }
    };
}

shown_in_hex!(KeyId);
shown_in_hex!(ResumptionId);

/// Makes the other end wipe a key. Anyone who has the token can end the session, but it reveals nothing about the
/// key.
#[derive(Clone, Copy)]
pub struct ForgetToken(pub [u8; ID_LEN]);

/// Proves that the other end has wiped a key.
#[derive(Clone, Copy)]
pub struct ForgetProof(pub [u8; ID_LEN]);

impl ForgetToken {
    /// Whether both are the same, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl ForgetProof {
    /// Whether both are the same, in constant time.
    pub fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}
