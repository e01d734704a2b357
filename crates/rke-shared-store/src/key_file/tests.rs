use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("store.key")
    }

    fn with(bytes: &[u8]) -> Self {
        let folder = Self::new();
        fs::write(folder.file(), bytes).expect("written");
        fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o600)).expect("a mode");
        folder
    }

    fn read(&self) -> Result<StoreKeys, KeyFileError> {
        read(&self.file())
    }
}

fn tags(keys: &StoreKeys) -> Vec<KeyTag> {
    keys.all().map(StoreKey::tag).collect()
}

#[test]
fn a_made_file_has_one_key_that_only_its_owner_may_read() {
    let folder = Folder::new();
    assert_eq!(add_key(&folder.file()).expect("made"), Rotated { keys: 1, removed: 0 });
    let about = fs::metadata(folder.file()).expect("a file");
    assert_eq!((about.len(), about.permissions().mode() & 0o7777), (32, 0o600));
    assert_eq!(tags(&folder.read().expect("keys")).len(), 1);
}

#[test]
fn a_new_key_is_put_in_front() {
    let folder = Folder::with(&[[1; 32], [2; 32]].concat());
    let before = tags(&folder.read().expect("keys"));
    assert_eq!(add_key(&folder.file()).expect("added"), Rotated { keys: 3, removed: 0 });
    let after = tags(&folder.read().expect("keys"));
    assert_eq!(after[1..], before);
    assert_eq!(fs::read(folder.file()).expect("bytes")[32..], [[1; 32], [2; 32]].concat());
}

#[test]
fn a_rotation_removes_the_keys_that_no_record_needs_but_not_the_one_that_sealed_until_now() {
    let folder = Folder::with(&[[1; 32], [2; 32], [3; 32]].concat());
    let third = tags(&folder.read().expect("keys"))[2];
    let rotated = rotate(&folder.file(), |tag| tag == third).expect("rotated");
    assert_eq!(rotated, Rotated { keys: 3, removed: 1 });
    assert_eq!(fs::read(folder.file()).expect("bytes")[32..], [[1; 32], [3; 32]].concat());
}

#[test]
fn a_rotation_overwrites_the_replaced_file() {
    let folder = Folder::with(&[7; 32]);
    let old = folder.0.path().join("hard link to the old file");
    fs::hard_link(folder.file(), &old).expect("a link");
    add_key(&folder.file()).expect("added");
    assert_eq!(fs::read(old).expect("bytes"), [0; 32]);
}

#[test]
fn a_file_that_others_may_read_is_refused_with_the_command_that_repairs_it() {
    let folder = Folder::with(&[1; 32]);
    fs::set_permissions(folder.file(), fs::Permissions::from_mode(0o640)).expect("a mode");
    let error = folder.read().err().expect("an error").to_string();
    assert!(error.contains("(mode 0640)") && error.contains("chmod 600"), "{error}");
}

#[test]
fn a_file_that_is_not_whole_keys_is_refused() {
    for len in [0, 1, 31, 33, 64 + 1] {
        let folder = Folder::with(&vec![1; len]);
        assert!(matches!(folder.read(), Err(KeyFileError::Damaged { .. })), "{len} bytes");
        assert!(matches!(add_key(&folder.file()), Err(KeyFileError::Damaged { .. })), "{len} bytes");
        assert_eq!(fs::read(folder.file()).expect("bytes").len(), len, "it is unchanged");
    }
}

#[test]
fn a_file_has_at_most_eight_keys() {
    let folder = Folder::with(&[1; 32 * MAX_KEYS]);
    assert_eq!(tags(&folder.read().expect("keys")).len(), MAX_KEYS);
    assert!(matches!(add_key(&folder.file()), Err(KeyFileError::TooMany { count: 9, .. })));
    let folder = Folder::with(&[1; 32 * (MAX_KEYS + 1)]);
    assert!(matches!(folder.read(), Err(KeyFileError::TooMany { count: 9, .. })));
}

#[test]
fn a_missing_file_is_reported_with_the_command_that_makes_it() {
    let error = Folder::new().read().err().expect("an error").to_string();
    assert!(error.contains("rke store key "), "{error}");
}

#[test]
fn a_link_to_a_key_file_is_not_followed() {
    let folder = Folder::with(&[1; 32]);
    let link = folder.0.path().join("link");
    std::os::unix::fs::symlink(folder.file(), &link).expect("a link");
    assert!(matches!(read(&link), Err(KeyFileError::Io { action: "open", .. })));
}
