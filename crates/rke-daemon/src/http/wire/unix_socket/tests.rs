use std::os::unix::fs::MetadataExt;

use rustix::process::getgid;

use super::*;

async fn listen_at(path: &Path) -> Result<UnixListener, UnixSocketError> {
    let (listener, guard) = listen(&UnixSocket { path: path.into(), group: None }, "--unix-socket").await?;
    assert_eq!(guard, Guard::Users);
    Ok(listener)
}

#[tokio::test]
async fn the_file_of_a_group_has_its_mode_and_no_other_is_left() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("rke.sock");
    let group = getgid().as_raw();
    let (_listener, guard) = listen(&UnixSocket { path: path.clone(), group: Some(group) }, "--unix-socket")
        .await
        .expect("a socket");
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
    // A folder cannot be replaced.
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
    assert!(matches!(listen_at(&path).await, Err(UnixSocketError::InUse { .. })));
    drop(first);
    let second = listen_at(&path).await.expect("in place of the dead one");
    let (one, other) = tokio::join!(UnixStream::connect(&path), second.accept());
    let (_one, (other, _)) = (one.expect("connected"), other.expect("accepted"));
    assert_eq!(Guard::Users.known_user(&other), Some(getuid().as_raw()));
    let file = dir.path().join("file");
    fs::write(&file, "").expect("written");
    assert!(matches!(listen_at(&file).await, Err(UnixSocketError::NotASocket { .. })));
    assert!(matches!(listen_at(Path::new("/nowhere/x")).await, Err(UnixSocketError::Io { .. })));
}
