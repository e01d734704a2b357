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

#[test]
fn a_shared_token_is_read_as_it_stands_and_a_wrong_file_is_refused_in_words() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("shared");
    let write = |text: &str, mode| {
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, text).expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a mode");
        Token::read(&path)
    };
    let text = "0123456789abcdef".repeat(4);
    for right in [text.clone(), format!("{text}\n")] {
        let token = write(&right, 0o600).unwrap_or_else(|error| panic!("{error}"));
        assert!(token.matches(text.as_bytes()) && !token.matches("0".repeat(64).as_bytes()));
    }
    for (wrong, mode, words) in [
        (text.as_str(), 0o640, "chmod 600"),
        (&text[1..], 0o600, "64 hexadecimal digits"),
        (&format!("{text}\n\n"), 0o600, "64 hexadecimal digits"),
        (&"x".repeat(64), 0o600, "64 hexadecimal digits"),
    ] {
        let Err(error) = write(wrong, mode) else { panic!("{wrong:?} is a token") };
        assert!(error.to_string().contains(words), "{wrong:?}: {error}");
    }
    std::fs::remove_file(&path).expect("removed");
    let Err(error) = Token::read(&path) else { panic!("nothing is there") };
    assert!(error.to_string().contains("openssl rand -hex 32"), "{error}");
}
