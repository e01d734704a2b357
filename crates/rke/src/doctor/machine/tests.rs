use std::fs::Permissions;

use super::*;

#[test]
fn a_data_folder_that_others_can_read_is_found() {
    let dir = tempfile::tempdir().expect("a folder");
    let look = |path: &Path| {
        let mut report = Report::default();
        folder(&mut report, path);
        (report.failures(), report.text())
    };
    fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("a mode");
    assert_eq!(look(dir.path()).0, 0);
    let key = dir.path().join("master.key");
    fs::write(&key, "x").expect("written");
    fs::set_permissions(&key, Permissions::from_mode(0o640)).expect("a mode");
    let (failures, text) = look(dir.path());
    assert!(failures == 1 && text.contains("chmod 600"), "{text}");
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).expect("a mode");
    assert_eq!(look(dir.path()).0, 2);
    assert_eq!(look(&key).0, 1);
    let other = dir.path().join("other");
    data_dir::claim(&other, Role::ContentServer).expect("a data directory");
    assert!(look(&other).1.contains("of a Content Server, not of a daemon"));
    assert!(look(&dir.path().join("nothing")).1.contains("not there yet"));
}
