//! Files that outlive a power cut: written whole or not at all, and gone when they are removed.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes a file that is there whole or not at all: temporary file (0600) in the same folder,
/// fsync, rename, fsync of the folder.
///
/// # Errors
/// What the system said; then what was there before is unchanged.
pub fn write_atomically(
    dir: &Path,
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    written(dir, write)?.persist(path).map_err(|error| error.error)?;
    sync_folder(dir)
}

/// The same for a file that is not there yet.
pub(crate) fn write_new(
    dir: &Path,
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    written(dir, write)?.persist_noclobber(path).map_err(|error| error.error)?;
    sync_folder(dir)
}

/// A temporary file with all that is written to it on the disk.
fn written(dir: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(dir)?;
    write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Removes a file so that it stays removed after a power cut. A missing file is no error.
pub(crate) fn remove_durably(dir: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder(dir),
    }
}

pub(crate) fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
