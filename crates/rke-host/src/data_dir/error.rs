//! Why a data directory cannot be used, and how to repair it.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rke_secret::SecretError;
use rustix::process::geteuid;

use super::Role;

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// A file or folder cannot be made, read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        source: io::Error,
    },
    /// This process may not make, read or write a file or folder.
    #[error(
        "cannot {action} {path}: this runs as the user with uid {own}, and {place} belongs to {}",
        whose_and_what_to_do(place, *.owner, *.own)
    )]
    Denied {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// The innermost part of the path that can be looked at.
        place: PathBuf,
        owner: u32,
        /// This process's user.
        own: u32,
    },
    /// Another process has it.
    #[error("{0} is in use by another process; stop that one, or choose another with --data-dir")]
    InUse(PathBuf),
    /// The master key is missing, but files that it sealed exist.
    #[error(
        "{path} is missing, and {sealed} is sealed with it; bring it back from a backup. To go on without what it \
         sealed, run `mv {sealed} {sealed}.lost`"
    )]
    NoMasterKey {
        /// The master key file.
        path: PathBuf,
        /// What it sealed.
        sealed: PathBuf,
    },
    /// Others may read the master key.
    #[error("{path} may be read by others (mode {mode:04o}); run `chmod 600 {path}`")]
    Exposed {
        /// The master key file.
        path: PathBuf,
        mode: u32,
    },
    /// The master key is not 32 bytes.
    #[error(
        "{path} has {len} bytes instead of 32; bring it back from a backup, or move it away to start with a new key (what \
         it sealed is lost)"
    )]
    DamagedMasterKey {
        /// The master key file.
        path: PathBuf,
        /// Its length.
        len: u64,
    },
    /// A directory of another user.
    #[error(
        "{path} belongs to another user (uid {owner}); run this as that user, with `sudo -u '#{owner}'` in front, or \
         make it this user's with `sudo chown -R {own} {path}`"
    )]
    Foreign {
        /// The directory, or a folder in it.
        path: PathBuf,
        owner: u32,
        /// This process's user.
        own: u32,
    },
    /// Others may change what is in it.
    #[error("others may write to {path} (mode {mode:04o}); run `chmod go-w {path}`")]
    Writable {
        /// The directory, or a folder in it.
        path: PathBuf,
        mode: u32,
    },
    /// It belongs to another role.
    #[error("{path} is the data directory of {found}, not of {wanted}; choose another with --data-dir")]
    OtherRole {
        /// The directory.
        path: PathBuf,
        /// Its recorded owner.
        found: Role,
        /// The role of this process.
        wanted: Role,
    },
    /// The record of its owner is damaged.
    #[error(
        "{path} does not say whose data directory this is; if you know it, run `mv {path} {path}.damaged`: the next \
         start of its program writes a new one"
    )]
    UnknownRole { path: PathBuf },
    /// There is no secret memory left, or the system gave no random bytes.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

pub(super) fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError + use<> {
    let path = path.to_path_buf();
    move |source| match owned_part(&path) {
        // An error of `open_own` says more.
        Some((place, owner)) if is_denied(&source) => {
            DataDirError::Denied { action, path, place, owner, own: geteuid().as_raw() }
        }
        _ => DataDirError::Io { action, path, source },
    }
}

/// Whether the system denies it.
fn is_denied(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied && error.get_ref().is_none()
}

/// The innermost part of the path that can be looked at, and whose it is.
fn owned_part(path: &Path) -> Option<(PathBuf, u32)> {
    let path = std::path::absolute(path).ok()?;
    path.ancestors().find_map(|part| Some((part.into(), part.symlink_metadata().ok()?.uid())))
}

fn whose_and_what_to_do(place: &Path, owner: u32, own: u32) -> String {
    match owner == own {
        true => format!("that user, who may not use it either; run `chmod u+rwX {}`", place.display()),
        false => format!(
            "uid {owner}; run this as that user, with `sudo -u '#{owner}'` in front, or name another folder with --data-dir"
        ),
    }
}
