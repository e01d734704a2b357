//! The unix socket: a way in that tells local users apart. Its file is for the daemon's user alone,
//! and whoever connects is asked who they are, by the kernel.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::process::getuid;
use tokio::net::{UnixListener, UnixStream};

/// Why there is no unix socket.
#[derive(Debug, thiserror::Error)]
pub enum UnixSocketError {
    /// Another daemon answers there.
    #[error("another program listens on {0}; stop it, or choose another path with --unix-socket")]
    InUse(PathBuf),
    /// Something else lies there.
    #[error("{0} is there and is not a socket; choose another path with --unix-socket")]
    NotASocket(PathBuf),
    /// One that was handed over.
    #[error("cannot use the unix socket that systemd has opened: {0}; check the .socket unit")]
    Inherited(io::Error),
    /// The system refuses.
    #[error("cannot listen on the unix socket {path}: {source}; choose another path with --unix-socket")]
    Io {
        /// The path that was asked for.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Listens on a socket that was opened by somebody else, whose permissions are theirs to set. Who
/// connects is asked who they are all the same.
pub(crate) fn inherit(listener: std::os::unix::net::UnixListener) -> Result<UnixListener, UnixSocketError> {
    let listener = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
    listener.map_err(UnixSocketError::Inherited)
}

/// Listens at `path`, in place of a socket that a dead daemon has left there.
pub(crate) async fn listen(path: &Path) -> Result<UnixListener, UnixSocketError> {
    let error = |source| UnixSocketError::Io { path: path.into(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(UnixSocketError::NotASocket(path.into())),
        Ok(_) => replace_dead(path).await?,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => (),
        Err(source) => return Err(error(source)),
    }
    let listener = UnixListener::bind(path).map_err(error)?;
    // Who connects before this line is asked who they are all the same.
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(error)?;
    Ok(listener)
}

async fn replace_dead(path: &Path) -> Result<(), UnixSocketError> {
    let error = |source| UnixSocketError::Io { path: path.into(), source };
    match UnixStream::connect(path).await {
        Err(refused) if refused.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(error)
        }
        Err(source) => Err(error(source)),
        Ok(_) => Err(UnixSocketError::InUse(path.into())),
    }
}

/// The user at the other end, if it is the daemon's own or root.
pub(super) fn known_user(stream: &UnixStream) -> Option<u32> {
    let user = stream.peer_cred().ok()?.uid();
    is_known(user, getuid().as_raw()).then_some(user)
}

fn is_known(user: u32, own: u32) -> bool {
    user == own || user == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_daemons_own_user_and_root_are_known() {
        assert!(is_known(1000, 1000) && is_known(0, 1000) && is_known(0, 0));
        assert!(!is_known(1001, 1000) && !is_known(1000, 0) && !is_known(u32::MAX, 1000));
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_or_another_file_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("rke.sock");
        let first = listen(&path).await.expect("a socket");
        assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
        assert!(matches!(listen(&path).await, Err(UnixSocketError::InUse(_))));
        drop(first);
        let second = listen(&path).await.expect("in place of the dead one");
        let (one, other) = tokio::join!(UnixStream::connect(&path), second.accept());
        let (_one, (other, _)) = (one.expect("connected"), other.expect("accepted"));
        assert_eq!(known_user(&other), Some(getuid().as_raw()));
        let file = dir.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(matches!(listen(&file).await, Err(UnixSocketError::NotASocket(_))));
        assert!(matches!(listen(Path::new("/nowhere/x")).await, Err(UnixSocketError::Io { .. })));
    }
}
