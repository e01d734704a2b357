//! The Unix socket, which distinguishes local users. Either its file is for the daemon's user alone and the kernel
//! identifies each client, or it is also for a group and the file's mode decides.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rke_engine::settings::access::UnixSocket;
use rustix::process::getuid;
use tokio::net::{UnixListener, UnixStream};

/// Why the Unix socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum UnixSocketError {
    /// Another program listens there.
    #[error("another program listens on {path}; stop it, or choose another path with {option}")]
    InUse {
        /// The requested path.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
    },
    /// Something that is not a socket lies there.
    #[error("{path} exists and is not a socket; choose another path with {option}")]
    NotASocket {
        /// The requested path.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
    },
    /// A socket inherited from systemd cannot be used.
    #[error("cannot use the unix socket that systemd has opened: {0}; check the .socket unit")]
    Inherited(io::Error),
    /// The system refuses.
    #[error("cannot listen on the unix socket {path}: {source}; choose another path with {option}")]
    Io {
        /// The requested path.
        path: PathBuf,
        /// The option that names it.
        option: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

/// Keeps other users out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// The user of each client is checked: only the daemon's user and root may connect.
    Users,
    /// The file's mode and group, which it has had since it was created.
    Mode,
}

/// Listens on a socket that another program has opened and whose permissions it sets. The user of each client is
/// checked all the same.
pub(crate) fn inherit(listener: std::os::unix::net::UnixListener) -> Result<UnixListener, UnixSocketError> {
    let listener = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
    listener.map_err(UnixSocketError::Inherited)
}

/// Listens at a path that `option` names. A socket left there by a dead process is replaced.
pub(crate) async fn listen(
    socket: &UnixSocket,
    option: &'static str,
) -> Result<(UnixListener, Guard), UnixSocketError> {
    let path = &socket.path;
    let error = |source| UnixSocketError::Io { path: path.into(), option, source };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(UnixSocketError::NotASocket { path: path.into(), option });
        }
        Ok(_) => replace_dead(path, option).await?,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => (),
        Err(source) => return Err(error(source)),
    }
    if let Some(group) = socket.group {
        return Ok((listen_for_group(path, group).map_err(error)?, Guard::Mode));
    }
    let listener = UnixListener::bind(path).map_err(error)?;
    // The user of a client that connects before this line is checked all the same.
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(error)?;
    Ok((listener, Guard::Users))
}

/// Creates the file in a folder that only this user may enter, so it has its mode and group before anyone can find
/// it.
fn listen_for_group(path: &Path, group: u32) -> io::Result<UnixListener> {
    let hidden = hidden_folder_beside(path)?;
    let made = hidden.join("s");
    let listener = listen_hidden(&made, group).and_then(|listener| {
        fs::rename(&made, path)?;
        Ok(listener)
    });
    if listener.is_err() {
        // The file may not exist yet.
        let _ = fs::remove_file(&made);
    }
    // This does not read the folder, which the sandbox does not allow.
    fs::remove_dir(&hidden)?;
    listener
}

fn hidden_folder_beside(path: &Path) -> io::Result<PathBuf> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut hidden = tempfile::Builder::new();
    let hidden = hidden.prefix(".rke").permissions(Permissions::from_mode(0o700)).tempdir_in(folder)?;
    Ok(hidden.keep())
}

fn listen_hidden(made: &Path, group: u32) -> io::Result<UnixListener> {
    let listener = UnixListener::bind(made)?;
    fs::set_permissions(made, Permissions::from_mode(0o660))?;
    chown(made, None, Some(group)).map_err(|source| {
        let hint = "the user that runs rke must be a member of the group";
        io::Error::new(source.kind(), format!("cannot give it to group {group}: {source}; {hint}"))
    })?;
    Ok(listener)
}

async fn replace_dead(path: &Path, option: &'static str) -> Result<(), UnixSocketError> {
    let error = |source| UnixSocketError::Io { path: path.into(), option, source };
    match UnixStream::connect(path).await {
        Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(error)
        }
        Err(source) => Err(error(source)),
        Ok(_) => Err(UnixSocketError::InUse { path: path.into(), option }),
    }
}

impl Guard {
    /// The user at the other end, if it may use the daemon.
    pub(in crate::http) fn known_user(self, stream: &UnixStream) -> Option<u32> {
        let user = stream.peer_cred().ok()?.uid();
        (self == Self::Mode || is_known(user, getuid().as_raw())).then_some(user)
    }
}

fn is_known(user: u32, own: u32) -> bool {
    user == own || user == 0
}

#[cfg(test)]
mod tests;
