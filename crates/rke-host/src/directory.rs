//! Reads a RAIDA directory file and resolves the names in it.

use std::path::{Path, PathBuf};

use rke_proto::directory::{self, Directory, LineError};
use tokio::net::lookup_host;

/// Why a directory file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The file cannot be read.
    #[error("cannot read the RAIDA directory {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line is malformed.
    #[error("RAIDA directory {path}, {source}")]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line.
        source: LineError,
    },
    /// A name in it has no address.
    #[error("RAIDA directory {path}: no address found for {host}: {source}")]
    Unresolved {
        /// The file.
        path: PathBuf,
        /// The name.
        host: String,
        /// What the resolver said.
        source: std::io::Error,
    },
}

/// Reads the directory file at `path`. A name stands for all addresses that it has; the first is the one that is asked.
///
/// # Errors
/// [`DirectoryError`]: the file, the line or the name that is at fault.
pub async fn load(path: &Path) -> Result<Directory, DirectoryError> {
    let owned = || path.to_path_buf();
    let text =
        std::fs::read_to_string(path).map_err(|source| DirectoryError::Read { path: owned(), source })?;
    let lines = directory::parse(&text).map_err(|source| DirectoryError::Line { path: owned(), source })?;
    let (mut entries, mut others) = (Vec::with_capacity(lines.len()), Vec::new());
    for line in lines {
        let unresolved =
            |source| DirectoryError::Unresolved { path: owned(), host: line.host.clone(), source };
        let mut addresses = lookup_host((line.host.as_str(), line.port)).await.map_err(unresolved)?;
        let address = addresses.next().ok_or_else(|| unresolved(std::io::ErrorKind::NotFound.into()))?;
        entries.push((address, line.raida));
        others.extend(addresses.map(|address| (address, line.raida)));
    }
    Ok(Directory::new(entries).with_others(others))
}
