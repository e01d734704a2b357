//! A file that is there whole or not at all. Until it is whole it has no name, so nothing is left of it
//! however the program ends; where the file system has no such files it has a name of its own.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, AtFlags, CWD, Mode, OFlags, access, linkat, openat};
use rustix::io::Errno;
use tempfile::{Builder, TempPath};

const PREFIX: &str = ".rke-";

/// Most links that lead to each other, as the system has it.
const MAX_LINKS: usize = 40;

/// A file that is being written.
pub(super) struct NewFile {
    file: File,
    /// `None` where it has no name.
    name: Option<TempPath>,
    path: PathBuf,
    mode: u32,
}

impl NewFile {
    /// A file that will be at `path`, or in place of the file that a link there leads to. It will have the
    /// mode of a file that it replaces, else `mode`, else be its owner's alone.
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
            // The file system has no files without a name.
            Err(_) => {
                let (file, name) = Builder::new().prefix(PREFIX).tempfile_in(folder(&path))?.into_parts();
                (file, Some(name))
            }
        };
        Ok(Self { file, name, path, mode })
    }

    /// All is written: puts it in its place.
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

/// Where the links at `path` lead in the end, be there a file or not.
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

/// A file without a name.
fn nameless(folder: &Path) -> io::Result<File> {
    let flags = OFlags::TMPFILE | OFlags::WRONLY | OFlags::CLOEXEC;
    Ok(openat(CWD, folder, flags, Mode::RUSR | Mode::WUSR)?.into())
}

/// Gives a file a name that goes away by itself unless it is changed.
fn named(file: &File, folder: &Path) -> io::Result<TempPath> {
    let open = format!("/proc/self/fd/{}", file.as_raw_fd());
    let link = |path: &Path| Ok(linkat(CWD, &open, CWD, path, AtFlags::SYMLINK_FOLLOW)?);
    Ok(Builder::new().prefix(PREFIX).make_in(folder, link)?.into_temp_path())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).expect("metadata").permissions().mode() & 0o777
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries =
            fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        entries.map(|name| name.into_string().expect("UTF-8")).collect()
    }

    #[test]
    fn the_old_file_stays_until_the_new_one_is_whole() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        fs::write(&path, "old").expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("a mode");
        let mut given_up = NewFile::create(&path, None).expect("a file");
        given_up.write_all(b"half").expect("written");
        assert_eq!(fs::read(&path).expect("a file"), b"old");
        drop(given_up);
        assert_eq!(
            (fs::read(&path).expect("a file"), names(dir.path())),
            (b"old".to_vec(), vec!["file".into()])
        );
        let mut new = NewFile::create(&path, Some(0o600)).expect("a file");
        new.write_all(b"new").expect("written");
        new.finish().expect("in its place");
        assert_eq!(
            (fs::read(&path).expect("a file"), names(dir.path())),
            (b"new".to_vec(), vec!["file".into()])
        );
        assert_eq!(mode(&path), 0o640);
    }

    #[test]
    fn a_new_file_is_its_owners_alone_unless_told_otherwise() {
        let dir = tempfile::tempdir().expect("a folder");
        for (given, expected) in [(None, 0o600), (Some(0o644), 0o644)] {
            let path = dir.path().join(format!("{given:?}"));
            NewFile::create(&path, given).expect("a file").finish().expect("in its place");
            assert_eq!(mode(&path), expected);
        }
    }

    #[test]
    fn a_link_goes_on_leading_to_the_file() {
        let dir = tempfile::tempdir().expect("a folder");
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "old").expect("written");
        std::os::unix::fs::symlink(&file, &link).expect("a link");
        let mut new = NewFile::create(&link, None).expect("a file");
        new.write_all(b"new").expect("written");
        new.finish().expect("in its place");
        assert!(fs::symlink_metadata(&link).expect("metadata").is_symlink());
        assert_eq!(fs::read(&file).expect("a file"), b"new");
    }

    #[test]
    fn a_link_to_what_is_not_there_yet_leads_to_it_afterwards() {
        let dir = tempfile::tempdir().expect("a folder");
        let (link, second) = (dir.path().join("link"), dir.path().join("second"));
        std::os::unix::fs::symlink("second", &link).expect("a link");
        std::os::unix::fs::symlink("file", &second).expect("a link");
        NewFile::create(&link, None).expect("a file").finish().expect("in its place");
        for link in [&link, &second] {
            assert!(fs::symlink_metadata(link).expect("metadata").is_symlink());
        }
        assert!(fs::symlink_metadata(dir.path().join("file")).expect("metadata").is_file());
        std::os::unix::fs::symlink("ring", dir.path().join("ring")).expect("a link");
        assert!(NewFile::create(&dir.path().join("ring"), None).is_err());
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_at_once() {
        assert!(NewFile::create(Path::new("/nowhere/file"), None).is_err());
    }
}
