//! Files of this user. They are opened as `ssh` opens its keys: not through a symbolic link, and not if they
//! belong to another user or others may write to them. Errors name the command that repairs the file.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::process::geteuid;

/// Why a file is not used.
#[derive(Debug, thiserror::Error)]
enum NotOwn {
    #[error(
        "it is a symbolic link, and those are not followed; to put the file itself in its place, run \
         `cp --remove-destination \"$(readlink -f {0})\" {0}`"
    )]
    Link(PathBuf),
    #[error("it is not a regular file")]
    NotRegular,
    #[error("it belongs to another user (uid {owner}); if it is to be used, run `sudo chown {own} {path}`")]
    Foreign { path: PathBuf, owner: u32, own: u32 },
    #[error("others may write to it (mode {mode:04o}); run `chmod go-w {path}`")]
    Writable { path: PathBuf, mode: u32 },
}

/// Opens a file of this user, or makes it if the options say so.
///
/// # Errors
/// The system's error, or why the file is not used.
pub fn open_own(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // A FIFO would block, and a terminal would become this process's.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = options.custom_flags(flags.bits() as i32).open(path);
    let file = opened.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => refused(NotOwn::Link(path.into())),
        _ => error,
    })?;
    check(path, &file.metadata()?)?;
    Ok(file)
}

/// Reads a file of this user.
///
/// # Errors
/// As [`open_own`].
pub fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_own(path, OpenOptions::new().read(true))?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads a text file of this user.
///
/// # Errors
/// As [`open_own`], also if it is not UTF-8.
pub fn read_own_text(path: &Path) -> io::Result<String> {
    let not_text = |_| io::Error::new(io::ErrorKind::InvalidData, "it is not text");
    String::from_utf8(read_own(path)?).map_err(not_text)
}

fn check(path: &Path, about: &Metadata) -> io::Result<()> {
    let (path, mode) = (path.to_path_buf(), about.mode() & 0o7777);
    if !about.is_file() {
        return Err(refused(NotOwn::NotRegular));
    }
    if !is_trusted(about.uid()) {
        return Err(refused(NotOwn::Foreign { path, owner: about.uid(), own: geteuid().as_raw() }));
    }
    if is_open_to_others(about) {
        return Err(refused(NotOwn::Writable { path, mode }));
    }
    Ok(())
}

fn refused(why: NotOwn) -> io::Error {
    let kind = match why {
        NotOwn::NotRegular => io::ErrorKind::InvalidInput,
        NotOwn::Link(_) | NotOwn::Foreign { .. } | NotOwn::Writable { .. } => io::ErrorKind::PermissionDenied,
    };
    io::Error::new(kind, why)
}

/// Whether files of this owner can be trusted: the owner is this process's user, or root.
pub(crate) fn is_trusted(owner: u32) -> bool {
    owner == 0 || owner == geteuid().as_raw()
}

/// Whether anyone except the owner may write to it.
pub(crate) fn is_open_to_others(about: &Metadata) -> bool {
    about.mode() & 0o022 != 0
}

#[cfg(test)]
mod tests;
