//! The audit log's keys. The one that seals lines is derived from the data directory's master key, so anyone who can write
//! the log but not read the data directory can neither write valid lines nor find out which session a tag stands for.

use std::path::Path;

use rke_proto::cipher::hmac_sha256;
use rke_secret::{Secret, SecretError};

use super::position::Position;
use crate::data_dir::{DataDirError, Role, read_role, read_sealer};
use crate::sealed::Sealer;

/// Length of a seal in bytes.
pub(super) const SEAL_LEN: usize = 16;

/// Length of a session's id in bytes: that of a daemon's session, or of a key.
pub(super) const ID_LEN: usize = 16;

/// Length of a session's tag in bytes: not that of an id, so that neither is taken for the other.
const TAG_LEN: usize = 12;

/// Makes tags of session ids.
pub struct AuditTags(Secret<32>);

impl AuditTags {
    /// With the key of the data directory, for a program that shares its sessions with no other.
    ///
    /// # Errors
    /// [`SecretError`] if no secret memory is left.
    pub(super) fn of(sealer: &Sealer) -> Result<Self, SecretError> {
        derive(sealer).map(Self)
    }

    /// With the key of the data directory at `path`, a daemon's, a node's or a Content Server's. A program may be running on it.
    ///
    /// # Errors
    /// [`DataDirError`], also if it has no master key.
    pub fn at(path: &Path) -> Result<Self, DataDirError> {
        derive_at(path).map(Self)
    }

    /// With a key that machines share as they share their sessions, so that a session has the same tag on each.
    pub fn shared(key: Secret<32>) -> Self {
        Self(key)
    }

    /// The tag that stands for a session in the log.
    pub fn tag(&self, session: &[u8; ID_LEN]) -> String {
        hex::encode(&mac(&self.0, &[b"session", session])[..TAG_LEN])
    }
}

/// Seals lines.
pub struct AuditKey(Secret<32>);

impl AuditKey {
    /// The key that belongs to a data directory. It is always the same.
    ///
    /// # Errors
    /// [`SecretError`] if no secret memory is left.
    pub(super) fn of(sealer: &Sealer) -> Result<Self, SecretError> {
        derive(sealer).map(Self)
    }

    /// As [`AuditTags::at`].
    ///
    /// # Errors
    /// [`DataDirError`], also if it has no master key.
    pub(super) fn at(path: &Path) -> Result<Self, DataDirError> {
        derive_at(path).map(Self)
    }

    /// The MAC of a line and of all lines before it: the value of the field `seal`.
    pub(super) fn line_mac(&self, at: &Position) -> [u8; SEAL_LEN] {
        let mac = mac(&self.0, &[b"line", &at.number.to_be_bytes(), &at.hash]);
        std::array::from_fn(|byte| mac[byte])
    }
}

fn derive_at(path: &Path) -> Result<Secret<32>, DataDirError> {
    let role = read_role(path)?.unwrap_or(Role::Daemon);
    Ok(derive(&read_sealer(path, role)?)?)
}

fn derive(sealer: &Sealer) -> Result<Secret<32>, SecretError> {
    sealer.derive(b"rke audit log v1")
}

fn mac(key: &Secret<32>, parts: &[&[u8]]) -> [u8; 32] {
    key.expose(|key| hmac_sha256(key, parts))
}
