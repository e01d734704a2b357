//! Files that survive a power cut: written whole or not at all, and gone once they are removed.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// Writes a file whole or not at all: temporary file (0600) in the same folder,
/// fsync, rename, fsync of the folder.
///
/// # Errors
/// The system's error; then a previous file is unchanged.
pub fn write_atomically(
    dir: &Path,
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    write_temporary(dir, write)?.persist(path).map_err(|error| error.error)?;
    sync_folder(dir)
}

/// As [`write_atomically`], but fails if the file exists.
///
/// # Errors
/// The system's error; then there is no new file.
pub fn write_new(dir: &Path, path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    write_temporary(dir, write)?.persist_noclobber(path).map_err(|error| error.error)?;
    sync_folder(dir)
}

/// Writes a temporary file, and waits until its contents are on the disk.
fn write_temporary(dir: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<NamedTempFile> {
    let mut file = NamedTempFile::new_in(dir)?;
    write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// Removes a file so that it stays removed after a power cut. A missing file is not an error.
pub(crate) fn remove_durably(dir: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder(dir),
    }
}

pub(crate) fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
