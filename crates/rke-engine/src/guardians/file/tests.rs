use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;

use jiff::Timestamp;
use rke_host::data_dir::{Role, Sharing};
use rke_proto::RaidaIndex;

use super::super::agreement::Agreed;
use super::*;

fn guardians(path: &str) -> Guardians {
    let url = |host| format!("https://{host}.example/{path}");
    Guardians::new(&["a", "b", "c"].map(url)).expect("guardians")
}

fn list() -> GoodList {
    let agreed = Agreed { endpoints: vec![SocketAddr::from(([8, 8, 8, 8], 1))], guardians: 3 };
    let mut list = GoodList::default();
    list.take_over(BTreeMap::from([(RaidaIndex::new(1).expect("an index"), agreed)]), Timestamp::UNIX_EPOCH);
    list
}

#[test]
fn a_list_is_kept_for_the_same_guardians_and_no_others() {
    let dir = tempfile::tempdir().expect("a folder");
    let data_dir = DataDir::open(dir.path(), Role::Daemon, Sharing::Alone).expect("a data directory");
    let file = ListFile::new(Arc::new(data_dir));
    let read = |path| file.read(&guardians(path), Reach::Public).expect("read");
    assert!(read("x").is_empty());
    file.write(&list(), &guardians("x")).expect("written");
    assert_eq!(fs::metadata(file.path()).expect("metadata").permissions().mode() & 0o777, 0o600);
    assert_eq!(read("x"), list());
    assert!(read("y").is_empty());
}

#[test]
fn a_damaged_list_is_moved_aside_and_one_that_others_may_write_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let data_dir = DataDir::open(dir.path(), Role::Daemon, Sharing::Alone).expect("a data directory");
    let file = ListFile::new(Arc::new(data_dir));
    fs::write(file.path(), "{").expect("written");
    assert!(file.read(&guardians("x"), Reach::Public).expect("read").is_empty());
    assert_eq!(fs::read_to_string(dir.path().join("damaged").join(NAME)).expect("moved"), "{");
    file.write(&list(), &guardians("x")).expect("written");
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o666)).expect("a mode");
    let error = file.read(&guardians("x"), Reach::Public).expect_err("refused").to_string();
    assert!(error.contains("chmod go-w"), "{error}");
}
