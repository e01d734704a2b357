//! The unix socket: a way in that tells local users apart. Its file is for the daemon's user alone,
//! and whoever connects is asked who they are, by the kernel. Or it is for a group too: then the file's mode decides.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};

use rke_engine::settings::access::UnixSocket;
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

/// What keeps others out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Who connects is asked for: the daemon's user and root may.
    Users,
    /// The mode and the group of the file, which it has had from its first moment.
    Mode,
}

/// Listens on a socket that was opened by somebody else, whose permissions are theirs to set. Who
/// connects is asked who they are all the same.
pub(crate) fn inherit(listener: std::os::unix::net::UnixListener) -> Result<UnixListener, UnixSocketError> {
    let listener = listener.set_nonblocking(true).and_then(|()| UnixListener::from_std(listener));
    listener.map_err(UnixSocketError::Inherited)
}

/// Listens at a path, in place of a socket that a dead daemon has left there.
pub(crate) async fn listen(socket: &UnixSocket) -> Result<(UnixListener, Guard), UnixSocketError> {
    let path = &socket.path;
    let error = |source| UnixSocketError::Io { path: path.into(), source };
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(UnixSocketError::NotASocket(path.into())),
        Ok(_) => replace_dead(path).await?,
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => (),
        Err(source) => return Err(error(source)),
    }
    if let Some(group) = socket.group {
        return Ok((listen_for_group(path, group)?, Guard::Mode));
    }
    let listener = UnixListener::bind(path).map_err(error)?;
    // Who connects before this line is asked who they are all the same.
    fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(error)?;
    Ok((listener, Guard::Users))
}

/// The file has its mode and group before anybody can find it: it is made in a folder that only this user may enter.
fn listen_for_group(path: &Path, group: u32) -> Result<UnixListener, UnixSocketError> {
    let make = || {
        let hidden = hidden_folder_beside(path)?;
        let made = hidden.join("s");
        let listener = listen_hidden(&made, group).and_then(|listener| {
            fs::rename(&made, path)?;
            Ok(listener)
        });
        if listener.is_err() {
            // There may be none yet.
            let _ = fs::remove_file(&made);
        }
        // Without a look into the folder, which the sandbox does not allow.
        fs::remove_dir(&hidden)?;
        listener
    };
    make().map_err(|source| UnixSocketError::Io { path: path.into(), source })
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
        let hint = "the daemon's user must be a member of the group";
        io::Error::new(source.kind(), format!("cannot give it to group {group}: {source}; {hint}"))
    })?;
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
mod tests {
    use std::os::unix::fs::MetadataExt;

    use rustix::process::getgid;

    use super::*;

    async fn listen_at(path: &Path) -> Result<UnixListener, UnixSocketError> {
        let (listener, guard) = listen(&UnixSocket { path: path.into(), group: None }).await?;
        assert_eq!(guard, Guard::Users);
        Ok(listener)
    }

    #[tokio::test]
    async fn the_file_of_a_group_has_its_mode_and_no_other_is_left() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("rke.sock");
        let group = getgid().as_raw();
        let (_listener, guard) =
            listen(&UnixSocket { path: path.clone(), group: Some(group) }).await.expect("a socket");
        let metadata = fs::symlink_metadata(&path).expect("metadata");
        assert_eq!((metadata.mode() & 0o777, metadata.gid(), guard), (0o660, group, Guard::Mode));
        assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), 1);
        assert!(UnixStream::connect(&path).await.is_ok());
    }

    #[tokio::test]
    async fn what_a_group_is_kept_from_finding_is_closed_and_goes_in_any_case() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("rke.sock");
        let hidden = hidden_folder_beside(&path).expect("a folder");
        assert_eq!(fs::metadata(&hidden).expect("metadata").mode() & 0o777, 0o700);
        fs::remove_dir(&hidden).expect("removed");
        // What cannot be replaced.
        fs::create_dir(&path).expect("a folder");
        assert!(listen_for_group(&path, getgid().as_raw()).is_err());
        assert_eq!(fs::read_dir(dir.path()).expect("the folder").count(), 1);
    }

    #[test]
    fn only_the_daemons_own_user_and_root_are_known() {
        assert!(is_known(1000, 1000) && is_known(0, 1000) && is_known(0, 0));
        assert!(!is_known(1001, 1000) && !is_known(1000, 0) && !is_known(u32::MAX, 1000));
    }

    #[tokio::test]
    async fn a_dead_socket_is_replaced_and_a_live_one_or_another_file_is_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("rke.sock");
        let first = listen_at(&path).await.expect("a socket");
        assert_eq!(fs::metadata(&path).expect("metadata").permissions().mode() & 0o777, 0o600);
        assert!(matches!(listen_at(&path).await, Err(UnixSocketError::InUse(_))));
        drop(first);
        let second = listen_at(&path).await.expect("in place of the dead one");
        let (one, other) = tokio::join!(UnixStream::connect(&path), second.accept());
        let (_one, (other, _)) = (one.expect("connected"), other.expect("accepted"));
        assert_eq!(Guard::Users.known_user(&other), Some(getuid().as_raw()));
        let file = dir.path().join("file");
        fs::write(&file, "").expect("written");
        assert!(matches!(listen_at(&file).await, Err(UnixSocketError::NotASocket(_))));
        assert!(matches!(listen_at(Path::new("/nowhere/x")).await, Err(UnixSocketError::Io { .. })));
    }
}
