//! The start of a sealed stream: the format, the salt, and a commitment to the key and the associated data.
//! `docs/seal-format.md` section 2.

use super::OpenError;

/// Length of the salt.
pub const SALT_LEN: usize = 32;

/// Length of the commitment.
pub(super) const COMMITMENT_LEN: usize = 32;

/// The first bytes of every sealed stream, before the version.
const MAGIC: [u8; 7] = *b"RKESEAL";

const VERSION: u8 = 1;

/// Length of magic, version and salt.
pub(super) const START_LEN: usize = MAGIC.len() + 1 + SALT_LEN;

/// Length of the header.
pub const HEADER_LEN: usize = START_LEN + COMMITMENT_LEN;

/// Magic, version and salt: the part of the header that the keys are derived from.
#[derive(Clone, Copy)]
pub(super) struct Start([u8; START_LEN]);

impl Start {
    pub(super) fn new(salt: &[u8; SALT_LEN]) -> Self {
        let mut bytes = [0; START_LEN];
        let (constant, rest) = bytes.split_at_mut(MAGIC.len() + 1);
        constant[..MAGIC.len()].copy_from_slice(&MAGIC);
        constant[MAGIC.len()] = VERSION;
        rest.copy_from_slice(salt);
        Self(bytes)
    }

    pub(super) fn as_bytes(&self) -> &[u8; START_LEN] {
        &self.0
    }

    /// The whole header.
    pub(super) fn with(&self, commitment: &[u8; COMMITMENT_LEN]) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        bytes[..START_LEN].copy_from_slice(&self.0);
        bytes[START_LEN..].copy_from_slice(commitment);
        bytes
    }
}

/// Splits a header into its parts.
///
/// # Errors
/// [`OpenError::NotSealed`] and [`OpenError::Version`].
pub(super) fn decode(header: &[u8; HEADER_LEN]) -> Result<(Start, &[u8; COMMITMENT_LEN]), OpenError> {
    let parts = (header.first_chunk::<START_LEN>(), header.last_chunk());
    let (Some(start), Some(commitment)) = parts else { return Err(OpenError::NotSealed) };
    if !start.starts_with(&MAGIC) {
        return Err(OpenError::NotSealed);
    }
    match start[MAGIC.len()] {
        VERSION => Ok((Start(*start), commitment)),
        other => Err(OpenError::Version(other)),
    }
}
