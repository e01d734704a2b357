//! What a data directory takes, and what it refuses.

use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn the_same_master_key_comes_back() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("new/data");
    let first = DataDir::open(&path, Role::Daemon, Sharing::Alone).expect("a new data directory");
    drop(first);
    let before = fs::read(path.join(MASTER_KEY)).expect("a master key");
    DataDir::open(&path, Role::Daemon, Sharing::Alone).expect("the same data directory");
    assert_eq!(fs::read(path.join(MASTER_KEY)).expect("a master key"), before);
    let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(&path.join(MASTER_KEY))), (0o700, 0o600));
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().expect("a folder");
    let _first = DataDir::open(dir.path(), Role::Daemon, Sharing::Alone).expect("a data directory");
    assert!(matches!(DataDir::open(dir.path(), Role::Daemon, Sharing::Alone), Err(DataDirError::InUse(_))));
}

#[test]
fn a_command_that_starts_at_that_moment_does_not_keep_the_lock() {
    let dir = tempfile::tempdir().expect("a folder");
    let open = || DataDir::open(dir.path(), Role::Daemon, Sharing::Alone);
    let first = open().expect("a data directory");
    // Between its fork and its exec, a command has the same open file.
    let of_the_command = first._lock.0.try_clone().expect("a copy");
    drop(first);
    open().expect("no longer locked");
    drop(of_the_command);
}

#[test]
fn who_only_looks_needs_no_lock_and_makes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    assert!(matches!(read_sealer(dir.path(), Role::Daemon), Err(DataDirError::Io { .. })));
    assert!(!dir.path().join(MASTER_KEY).exists());
    let open = DataDir::open(dir.path(), Role::Daemon, Sharing::Alone).expect("a data directory");
    let looked = read_sealer(dir.path(), Role::Daemon).expect("a sealer").derive(b"x").expect("a secret");
    assert!(looked.matches(&open.sealer().derive(b"x").expect("a secret")));
}

#[test]
fn those_who_share_it_keep_out_who_does_not() {
    let dir = tempfile::tempdir().expect("a folder");
    let open = |sharing| DataDir::open(dir.path(), Role::Daemon, sharing);
    let (first, second) = (open(Sharing::Shared).expect("shared"), open(Sharing::Shared).expect("shared"));
    assert!(matches!(open(Sharing::Alone), Err(DataDirError::InUse(_))));
    drop((first, second));
    let _alone = open(Sharing::Alone).expect("exclusive");
    assert!(matches!(open(Sharing::Shared), Err(DataDirError::InUse(_))));
}

#[test]
fn refuses_an_exposed_or_damaged_master_key() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(MASTER_KEY);
    fs::write(&path, [7; 32]).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    assert!(matches!(
        DataDir::open(dir.path(), Role::Daemon, Sharing::Alone),
        Err(DataDirError::Exposed { .. })
    ));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    fs::write(&path, [7; 31]).expect("written");
    assert!(matches!(
        DataDir::open(dir.path(), Role::Daemon, Sharing::Alone),
        Err(DataDirError::DamagedMasterKey { len: 31, .. })
    ));
}

fn node(raida: u8) -> Role {
    Role::Node(rke_proto::RaidaIndex::new(raida).expect("a RAIDA"))
}

#[test]
fn a_directory_belongs_to_the_first_role_that_takes_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let open = |role| DataDir::open(dir.path(), role, Sharing::Alone).map(drop);
    assert_eq!(read_role(dir.path()).expect("nobody's"), None);
    check(dir.path(), Role::ContentServer).expect("it can be anybody's");
    assert_eq!(read_role(dir.path()).expect("looking takes nothing"), None);
    open(node(7)).expect("a node's");
    assert_eq!(read_role(dir.path()).expect("a node's"), Some(node(7)));
    for wanted in [node(8), Role::Daemon, Role::ContentServer, Role::LocalNetwork] {
        let refused = [
            open(wanted).expect_err("refused"),
            check(dir.path(), wanted).expect_err("refused"),
            claim(dir.path(), wanted).expect_err("refused"),
            read_sealer(dir.path(), wanted).err().expect("refused"),
        ];
        for error in refused {
            assert!(matches!(error, DataDirError::OtherRole { .. }), "{error}");
            assert!(error.to_string().contains("of the node of RAIDA 7, not of"), "{error}");
        }
    }
    open(node(7)).expect("still the node's");
    let missing = dir.path().join("missing");
    assert!(check(&missing, Role::Daemon).is_ok() && !missing.exists());
}

#[test]
fn a_role_that_cannot_be_read_is_nobodys() {
    let dir = tempfile::tempdir().expect("a folder");
    claim(dir.path(), Role::Daemon).expect("the daemon's");
    fs::write(dir.path().join(ROLE), "deamon\n").expect("written");
    let error = claim(dir.path(), Role::Daemon).expect_err("refused");
    assert!(matches!(error, DataDirError::UnknownRole { .. }) && error.to_string().contains("run `mv "));
    assert_eq!(fs::read_to_string(dir.path().join(ROLE)).expect("left as it is"), "deamon\n");
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

#[test]
fn a_directory_that_others_may_write_to_is_refused_with_the_command() {
    let dir = tempfile::tempdir().expect("a folder");
    let open = || DataDir::open(dir.path(), Role::Daemon, Sharing::Alone);
    for mode in [0o770, 0o722, 0o1777] {
        set_mode(dir.path(), mode);
        let error = open().err().expect("refused").to_string();
        assert!(error.contains(&format!("run `chmod go-w {}`", dir.path().display())), "{error}");
    }
    assert!(fs::read_dir(dir.path()).expect("a folder").next().is_none(), "nothing was made in it");
    set_mode(dir.path(), 0o755);
    let open = open().expect("others may look at the names in it");
    let keys = open.folder("keys").expect("a folder");
    set_mode(&keys, 0o775);
    assert!(matches!(open.folder("keys"), Err(DataDirError::Writable { .. })));
    fs::remove_dir(&keys).expect("removed");
    std::os::unix::fs::symlink(dir.path(), &keys).expect("a link");
    assert!(matches!(open.folder("keys"), Err(DataDirError::Io { .. })), "a link in its place");
}

#[test]
fn a_directory_of_another_user_is_refused_with_the_command() {
    if !geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    std::os::unix::fs::chown(dir.path(), Some(4242), None).expect("another owner");
    let error = DataDir::open(dir.path(), Role::Daemon, Sharing::Alone).err().expect("refused").to_string();
    assert!(error.contains("sudo -u '#4242'") && error.contains("sudo chown -R 0 "), "{error}");
}

#[test]
fn no_file_of_it_is_opened_through_a_link() {
    let (dir, elsewhere) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let open = || DataDir::open(dir.path(), Role::Daemon, Sharing::Alone);
    drop(open().expect("a data directory"));
    for name in [MASTER_KEY, LOCK, ROLE] {
        let (path, target) = (dir.path().join(name), elsewhere.path().join(name));
        fs::rename(&path, &target).expect("moved");
        std::os::unix::fs::symlink(&target, &path).expect("a link");
        let error = open().err().expect("refused").to_string();
        assert!(error.contains("symbolic link") && error.contains("cp --remove-destination"), "{error}");
        fs::rename(&target, &path).expect("moved back");
    }
    open().expect("a data directory");
}

#[test]
fn what_the_system_denies_says_whose_it_is_and_what_to_do() {
    let dir = tempfile::tempdir().expect("a folder");
    let (own, inner) = (geteuid().as_raw(), dir.path().join("new/file"));
    let denied = || io::Error::from(io::ErrorKind::PermissionDenied);
    let error = io_error("read", &inner)(denied()).to_string();
    let (inner, place) = (inner.display(), dir.path().display());
    let expected = format!(
        "cannot read {inner}: this runs as the user with uid {own}, and {place} belongs to that user, who may not use it \
         either; run `chmod u+rwX {place}`"
    );
    assert_eq!(error, expected);
    // Only the system's own error is about the rights of this user.
    let refused = io_error("read", dir.path())(io::Error::new(io::ErrorKind::PermissionDenied, "a reason"));
    assert!(matches!(refused, DataDirError::Io { .. }), "{refused}");
    let missing = io_error("read", dir.path())(io::ErrorKind::NotFound.into());
    assert!(matches!(missing, DataDirError::Io { .. }), "{missing}");
    if geteuid().is_root() {
        std::os::unix::fs::chown(dir.path(), Some(4242), None).expect("an owner");
        let error = io_error("read", dir.path())(denied()).to_string();
        assert!(
            error.contains("belongs to uid 4242; run this as that user, with `sudo -u '#4242'`"),
            "{error}"
        );
    }
}
