//! Files that exist only while a server runs.

use std::path::PathBuf;

/// They are removed when this is dropped.
#[derive(Default)]
pub(crate) struct RunFiles {
    pub(crate) token: Option<PathBuf>,
    pub(crate) unix_socket: Option<PathBuf>,
}

impl Drop for RunFiles {
    fn drop(&mut self) {
        for path in [&self.token, &self.unix_socket].into_iter().flatten() {
            if let Err(error) = std::fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "cannot remove a file that is no longer used");
            }
        }
    }
}
