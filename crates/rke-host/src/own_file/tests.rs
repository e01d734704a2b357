use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

#[test]
fn only_a_regular_file_of_ones_own_is_opened_and_the_error_names_the_command() {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    fs::write(&file, "text").expect("written");
    fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("a mode");
    assert_eq!(read_own_text(&file).expect("read"), "text");
    symlink(&file, &link).expect("a link");
    let error = |path: &Path| read_own(path).expect_err("refused").to_string();
    assert!(error(&link).contains("cp --remove-destination"), "{}", error(&link));
    assert!(error(dir.path()).contains("not a regular file"));
    for mode in [0o620, 0o602, 0o666] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("a mode");
        assert!(error(&file).contains(&format!("run `chmod go-w {}`", file.display())), "{mode:o}");
    }
    let missing = read_own(&dir.path().join("missing")).expect_err("not there");
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_file_of_another_user_is_refused() {
    if !geteuid().is_root() {
        return;
    }
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("file");
    fs::write(&file, "text").expect("written");
    std::os::unix::fs::chown(&file, Some(4242), None).expect("another owner");
    let error = read_own(&file).expect_err("refused").to_string();
    assert!(error.contains("uid 4242") && error.contains("sudo chown 0 "), "{error}");
}
