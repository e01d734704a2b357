//! A file that appears complete or not at all. It has no name until it is complete, so nothing of it remains
//! however the program ends. On file systems without `O_TMPFILE`, it has a temporary name.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, access, linkat, openat};
use rustix::io::Errno;
use tempfile::{Builder, TempPath};

const PREFIX: &str = ".rke-";

/// The most symbolic links to follow, the same limit as the kernel's.
const MAX_LINKS: usize = 40;

/// A file that is being written.
pub(super) struct NewFile {
    file: File,
    /// `None` if the file has no name yet.
    name: Option<TempPath>,
    path: PathBuf,
    mode: u32,
}

impl NewFile {
    /// Creates a file that will appear at `path`, or in place of the file that a link at `path` leads to. It gets
    /// the mode of the file that it replaces, or else `mode`, or else 0600.
    pub(super) fn create(path: &Path, mode: Option<u32>) -> io::Result<Self> {
        let path = end_of_links(path)?;
        let old = fs::metadata(&path).ok();
        if old.is_some() {
            access(&path, Access::WRITE_OK)?;
        }
        let mode = old.map(|old| old.permissions().mode() & 0o777).or(mode).unwrap_or(0o600);
        let (file, name) = match nameless(folder(&path)) {
            Ok(file) => (file, None),
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                return Err(error);
            }
            // The file system does not support `O_TMPFILE`.
            Err(_) => {
                let (file, name) = Builder::new().prefix(PREFIX).tempfile_in(folder(&path))?.into_parts();
                (file, Some(name))
            }
        };
        Ok(Self { file, name, path, mode })
    }

    /// Puts the complete file in its place.
    pub(super) fn finish(self) -> io::Result<()> {
        let Self { file, name, path, mode } = self;
        file.set_permissions(Permissions::from_mode(mode))?;
        file.sync_all()?;
        let name = match name {
            Some(name) => name,
            None => named(&file, folder(&path))?,
        };
        name.persist(&path).map_err(|error| error.error)?;
        File::open(folder(&path))?.sync_all()
    }
}

impl Write for NewFile {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.file.write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Follows the links at `path` to their end, whether or not a file exists there.
fn end_of_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_path_buf();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = folder(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(Errno::LOOP.into())
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn nameless(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    Ok(openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// Gives a file a temporary name. The name is removed again unless the file is persisted.
fn named(file: &File, folder: &Path) -> io::Result<TempPath> {
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |path: &Path| Ok(linkat(CWD, &open, CWD, path, AtFlags::SYMLINK_FOLLOW)?);
    Ok(Builder::new().prefix(PREFIX).make_in(folder, link)?.into_temp_path())
}

#[cfg(test)]
mod tests;
