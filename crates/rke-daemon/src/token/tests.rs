use std::os::unix::fs::PermissionsExt;

use rke_host::data_dir::{Role, Sharing};

use super::*;

#[test]
fn only_the_token_of_the_file_matches_and_each_start_has_its_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let data = DataDir::open(dir.path(), Role::Daemon, Sharing::Alone).expect("a data directory");
    let first = Token::create(&data).expect("a token");
    let text = std::fs::read_to_string(first.path()).expect("a file");
    let mode = std::fs::metadata(first.path()).expect("metadata").permissions().mode();
    assert_eq!((mode & 0o777, text.len()), (0o600, 65));
    assert!(first.matches(text.trim().as_bytes()) && first.matches(text.trim().to_uppercase().as_bytes()));
    let second = Token::create(&data).expect("a token");
    for wrong in [text.trim(), "", "00", &"0".repeat(64), &"x".repeat(64), &"0".repeat(66)] {
        assert!(!second.matches(wrong.as_bytes()), "{wrong}");
    }
}
