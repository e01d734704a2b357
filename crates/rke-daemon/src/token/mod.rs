//! The token: a secret in a file that only the daemon's user can read, new at each start, or the same for several daemons. A client
//! that sends it has proven to be that user, which a TCP connection alone does not prove.

use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rke_host::data_dir::{DataDir, DataDirError};
use rke_host::own_file::open_own;
use rke_secret::{Secret, SecretError};
use subtle::ConstantTimeEq;

const FILE: &str = "token";
const TOKEN_LEN: usize = 32;

/// Its length in hex.
const HEX_LEN: usize = 2 * TOKEN_LEN;

/// Why the file of a token that several daemons share cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SharedTokenError {
    #[error(
        "cannot read the token in {path}: {source}. Make one with `(umask 077; openssl rand -hex 32 > {path})`, and copy it to all \
         machines whose daemons share it"
    )]
    Io { path: PathBuf, source: io::Error },
    #[error("others may read the token in {path} (mode {mode:04o}). Run `chmod 600 {path}`")]
    Exposed { path: PathBuf, mode: u32 },
    #[error(
        "{0} has no token: it should have 64 hexadecimal digits and nothing else, as `openssl rand -hex 32` prints them"
    )]
    Damaged(PathBuf),
    /// Secret memory is full.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

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

    /// Reads a token that other daemons have too.
    pub(crate) fn read(path: &Path) -> Result<Self, SharedTokenError> {
        let io_error = |source| SharedTokenError::Io { path: path.into(), source };
        let mut file = open_own(path, OpenOptions::new().read(true)).map_err(io_error)?;
        let about = file.metadata().map_err(io_error)?;
        let mode = about.mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(SharedTokenError::Exposed { path: path.into(), mode });
        }
        let damaged = || SharedTokenError::Damaged(path.into());
        // The digits, and perhaps the end of their line.
        if !(HEX_LEN as u64..=HEX_LEN as u64 + 1).contains(&about.len()) {
            return Err(damaged());
        }
        let secret = Secret::try_fill(|token| {
            let mut digits = [0; HEX_LEN];
            file.read_exact(&mut digits).map_err(io_error)?;
            hex::decode_to_slice(digits, token).map_err(|_| damaged())
        })?;
        Ok(Self { secret, path: path.into() })
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
