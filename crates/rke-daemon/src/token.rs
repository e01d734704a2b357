//! The token: a secret in a file that only the daemon's user can read, new at each start. Who can
//! send it back has shown to be that user, which a TCP connection alone does not show.

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

    /// Where its file is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether a client has sent this token, in hex. Takes the same time for all that are wrong.
    pub(crate) fn matches(&self, sent: &[u8]) -> bool {
        let mut bytes = [0; TOKEN_LEN];
        hex::decode_to_slice(sent, &mut bytes).is_ok()
            && self.secret.expose(|token| token.ct_eq(&bytes).into())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rke_host::data_dir::{Role, Sharing};

    use super::*;

    #[test]
    fn only_the_token_of_the_file_matches_and_each_start_has_its_own() {
        let dir = tempfile::tempdir().expect("a folder");
        let data = DataDir::open(dir.path(), Role::Daemon, Sharing::Alone).expect("a data directory");
        let first = Token::create(&data).expect("a token");
        let text = std::fs::read_to_string(first.path()).expect("a file");
        let mode = std::fs::metadata(first.path()).expect("metadata").permissions().mode();
        assert_eq!((mode & 0o777, text.len()), (0o600, 65));
        assert!(
            first.matches(text.trim().as_bytes()) && first.matches(text.trim().to_uppercase().as_bytes())
        );
        let second = Token::create(&data).expect("a token");
        for wrong in [text.trim(), "", "00", &"0".repeat(64), &"x".repeat(64), &"0".repeat(66)] {
            assert!(!second.matches(wrong.as_bytes()), "{wrong}");
        }
    }
}
