//! The folder that wallets must be in, if the operator names one. The kernel confines every open to it, down to
//! each coin file (`openat2`), so no symbolic link leads out, not even one that is made meanwhile. Nothing outside
//! is accessed on behalf of a path, so no error reveals what exists there.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2, readlinkat};
use rustix::io::Errno;

use super::Wallet;
use super::place::OpenError;
use crate::own_file::is_trusted;

/// The number of symbolic links that the kernel follows.
const MAX_LINKS: usize = 40;

/// How often to try again if folders were being moved and the kernel could not decide.
const TRIES: usize = 8;

/// The open folder.
#[derive(Debug)]
pub struct WalletRoot {
    folder: File,
    /// Without symbolic links.
    path: PathBuf,
    /// As the operator names it.
    named: PathBuf,
}

/// The path leads out of the folder.
#[derive(Debug, PartialEq, Eq)]
pub struct Outside;

impl WalletRoot {
    /// Opens the folder.
    ///
    /// # Errors
    /// The system's error, also if it cannot confine opens to a folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = File::from(rustix::fs::open(path, flags, Mode::empty())?);
        let root = Self { folder, path: path.canonicalize()?, named: std::path::absolute(path)? };
        match root.try_open(Path::new("."), OFlags::PATH, ResolveFlags::empty()) {
            Ok(_) => Ok(root),
            Err(error) => Err(cannot_confine(error)),
        }
    }

    /// The wallet that `path` names, if that is beneath the folder. It need not exist.
    ///
    /// # Errors
    /// [`Outside`].
    pub fn wallet(self: &Arc<Self>, path: &Path) -> Result<Wallet, Outside> {
        let inner = self.inner(path).or_else(|| self.inner_of_an_alias(path)).ok_or(Outside)?;
        Ok(Wallet::beneath(Arc::clone(self), inner))
    }

    /// The whole path of something beneath the folder, by the operator's name of the folder.
    pub(super) fn path_of(&self, inner: &Path) -> PathBuf {
        self.named.join(inner)
    }

    /// The rest of a path that begins with a name of the folder.
    fn inner(&self, path: &Path) -> Option<PathBuf> {
        let names = [&self.path, &self.named];
        names.into_iter().find_map(|name| path.strip_prefix(name).ok()).map(Path::to_path_buf)
    }

    /// As [`WalletRoot::inner`], for a path that leads there by symbolic links outside. They must belong to root or this
    /// user: by another user's link, and by `..`, a path could probe what exists elsewhere.
    fn inner_of_an_alias(&self, path: &Path) -> Option<PathBuf> {
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        for part in way {
            if path.is_relative() || part.components().next_back() == Some(Component::ParentDir) {
                return None;
            }
            let about = part.symlink_metadata().ok()?;
            if about.is_symlink() && !is_trusted(about.uid()) {
                return None;
            }
            if let Some(inner) = self.inner(&part.canonicalize().ok()?) {
                return Some(inner.join(path.strip_prefix(part).ok()?));
            }
        }
        None
    }

    /// Opens a file or folder beneath it.
    pub(super) fn open_beneath(&self, path: &Path, flags: OFlags) -> Result<File, OpenError> {
        let open = |path: &Path| self.try_open(path, flags, ResolveFlags::empty());
        let opened = match open(path) {
            // The kernel treats every absolute link as one that leads out.
            Err(Errno::XDEV) => open(&self.without_links(path)?),
            opened => opened,
        };
        opened.map_err(|error| match error {
            Errno::XDEV => OpenError::Outside,
            error => OpenError::Io(error.into()),
        })
    }

    /// The path with its symbolic links replaced by their targets, none of which leads out. If one is changed
    /// meanwhile, the path leads elsewhere, but never outside: the kernel ensures that when it is opened.
    fn without_links(&self, path: &Path) -> Result<PathBuf, OpenError> {
        let (mut here, mut ahead, mut links) = (PathBuf::new(), reversed(path), 0);
        while let Some(next) = ahead.pop() {
            if next == ".." {
                if !here.pop() {
                    return Err(OpenError::Outside);
                }
                continue;
            }
            let Some(target) = self.read_link(&here, &next)? else {
                here.push(next);
                continue;
            };
            links += 1;
            if links > MAX_LINKS {
                return Err(OpenError::Io(Errno::LOOP.into()));
            }
            if target.is_absolute() {
                here = PathBuf::new();
                ahead.extend(reversed(&self.inner(&target).ok_or(OpenError::Outside)?));
            } else {
                ahead.extend(reversed(&target));
            }
        }
        Ok(here)
    }

    /// The target of a symbolic link in a folder beneath the root; `None` if it is not a link.
    fn read_link(&self, folder: &Path, name: &OsStr) -> Result<Option<PathBuf>, OpenError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let read = self
            .try_open(folder, flags, ResolveFlags::NO_SYMLINKS)
            .and_then(|folder| readlinkat(folder, name, Vec::new()));
        match read {
            Ok(target) => Ok(Some(OsString::from_vec(target.into_bytes()).into())),
            Err(Errno::INVAL | Errno::NOENT) => Ok(None),
            Err(error) => Err(OpenError::Io(error.into())),
        }
    }

    fn try_open(&self, path: &Path, flags: OFlags, more: ResolveFlags) -> rustix::io::Result<File> {
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | more;
        let open = || openat2(&self.folder, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve);
        let mut opened = open();
        for _ in 1..TRIES {
            if !matches!(opened, Err(Errno::AGAIN)) {
                break;
            }
            opened = open();
        }
        opened.map(File::from)
    }
}

/// Why the first open beneath the folder failed. No weaker mechanism replaces it.
fn cannot_confine(error: Errno) -> io::Error {
    match error {
        Errno::NOSYS | Errno::PERM => io::Error::new(
            io::ErrorKind::Unsupported,
            "the system call openat2, which keeps wallets inside it, is missing (it takes Linux 5.6) or forbidden \
             (by a seccomp filter, as in some containers); make it available, or start without --wallet-root",
        ),
        error => error.into(),
    }
}

/// The names that a path consists of, the last one first.
fn reversed(path: &Path) -> Vec<OsString> {
    let names = path.components().rev().filter(|component| *component != Component::CurDir);
    names.map(|component| component.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests;
