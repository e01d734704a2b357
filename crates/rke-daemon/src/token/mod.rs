//! The token: a secret in a file that only the daemon's user can read, new at each start. A client that sends it
//! has proven to be that user, which a TCP connection alone does not prove.

use std::io::Write;
use std::path::{Path, PathBuf};

use rke_host::data_dir::{DataDir, DataDirError};
use rke_secret::Secret;
use subtle::ConstantTimeEq;

const FILE: &str = "token";
const TOKEN_LEN: usize = 32;

/// The token of this run of the daemon.
pub(crate) struct Token {
    secret: Secret<TOKEN_LEN>,
    path: PathBuf,
}

impl Token {
    /// Makes a new token and writes it, in hex, to its file (0600) in the data directory.
    pub(crate) fn create(dir: &DataDir) -> Result<Self, DataDirError> {
        let secret = Secret::random()?;
        let path = dir.write(FILE, |file| secret.expose(|token| writeln!(file, "{}", hex::encode(token))))?;
        Ok(Self { secret, path })
    }

    /// The path of its file.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a client has sent this token, in hex. All wrong tokens of the right form take the same time to
    /// check.
    pub(crate) fn matches(&self, sent: &[u8]) -> bool {
        let mut bytes = [0; TOKEN_LEN];
        hex::decode_to_slice(sent, &mut bytes).is_ok()
            && self.secret.expose(|token| token.ct_eq(&bytes).into())
    }
}

#[cfg(test)]
mod tests;
