//! Reads a RAIDA directory file and resolves the names in it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rke_proto::RaidaIndex;
use rke_proto::directory::{self, Directory, LineError};
use tokio::net::lookup_host;
use tokio::task::JoinSet;

use crate::echo;

/// Why a directory file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The file cannot be read.
    #[error("cannot read the RAIDA directory {path}: {source}")]
    Read { path: PathBuf, source: std::io::Error },
    /// A line is malformed.
    #[error("RAIDA directory {path}, {source}")]
    Line { path: PathBuf, source: LineError },
    /// A name in it does not resolve.
    #[error("RAIDA directory {path}: no address found for {host}: {source}")]
    Unresolved {
        path: PathBuf,
        /// The name.
        host: String,
        /// The resolver's error.
        source: std::io::Error,
    },
}

/// Reads the directory file at `path`. A name stands for all its addresses; the first is the one that requests go to.
///
/// # Errors
/// [`DirectoryError`]: the faulty file, line or name.
pub async fn load(path: &Path) -> Result<Directory, DirectoryError> {
    Ok(from_lines(resolve(path).await?))
}

/// As [`load`], but puts a responding address first if a name has several.
///
/// # Errors
/// As [`load`].
pub async fn load_responding(path: &Path) -> Result<Directory, DirectoryError> {
    let mut lines = resolve(path).await?;
    let mut asked = JoinSet::new();
    for (at, (raida, addresses)) in lines.iter().enumerate().filter(|(_, (_, addresses))| addresses.len() > 1)
    {
        let (raida, addresses) = (*raida, addresses.clone());
        asked.spawn(async move { (at, echo::first_responding(raida, &addresses).await) });
    }
    for (at, answering) in asked.join_all().await {
        // The others keep their order.
        lines[at].1.sort_by_key(|address| Some(*address) != answering);
    }
    Ok(from_lines(lines))
}

/// The lines of a directory file, each with all addresses of its host: at least one.
async fn resolve(path: &Path) -> Result<Vec<(RaidaIndex, Vec<SocketAddr>)>, DirectoryError> {
    let owned = || path.to_path_buf();
    let text =
        std::fs::read_to_string(path).map_err(|source| DirectoryError::Read { path: owned(), source })?;
    let lines = directory::parse(&text).map_err(|source| DirectoryError::Line { path: owned(), source })?;
    let mut resolved = Vec::with_capacity(lines.len());
    for line in lines {
        let unresolved =
            |source| DirectoryError::Unresolved { path: owned(), host: line.host.clone(), source };
        let addresses = lookup_host((line.host.as_str(), line.port)).await.map_err(unresolved)?;
        let addresses: Vec<SocketAddr> = addresses.collect();
        if addresses.is_empty() {
            return Err(unresolved(std::io::ErrorKind::NotFound.into()));
        }
        resolved.push((line.raida, addresses));
    }
    Ok(resolved)
}

fn from_lines(lines: Vec<(RaidaIndex, Vec<SocketAddr>)>) -> Directory {
    let (mut entries, mut others) = (Vec::with_capacity(lines.len()), Vec::new());
    for (raida, addresses) in lines {
        let mut addresses = addresses.into_iter().map(|address| (address, raida));
        entries.extend(addresses.next());
        others.extend(addresses);
    }
    Directory::new(entries).with_others(others)
}
