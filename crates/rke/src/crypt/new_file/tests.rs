use super::*;

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("metadata").permissions().mode() & 0o777
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
    entries.map(|name| name.into_string().expect("UTF-8")).collect()
}

#[test]
fn the_old_file_stays_until_the_new_one_is_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("file");
    fs::write(&path, "old").expect("written");
    fs::set_permissions(&path, Permissions::from_mode(0o640)).expect("a mode");
    let mut given_up = NewFile::create(&path, None).expect("a file");
    given_up.write_all(b"half").expect("written");
    assert_eq!(fs::read(&path).expect("a file"), b"old");
    drop(given_up);
    assert_eq!((fs::read(&path).expect("a file"), names(dir.path())), (b"old".to_vec(), vec!["file".into()]));
    let mut new = NewFile::create(&path, Some(0o600)).expect("a file");
    new.write_all(b"new").expect("written");
    new.finish().expect("in its place");
    assert_eq!((fs::read(&path).expect("a file"), names(dir.path())), (b"new".to_vec(), vec!["file".into()]));
    assert_eq!(mode(&path), 0o640);
}

#[test]
fn a_new_file_is_its_owners_alone_unless_told_otherwise() {
    let dir = tempfile::tempdir().expect("a folder");
    for (given, expected) in [(None, 0o600), (Some(0o644), 0o644)] {
        let path = dir.path().join(format!("{given:?}"));
        NewFile::create(&path, given).expect("a file").finish().expect("in its place");
        assert_eq!(mode(&path), expected);
    }
}

#[test]
fn a_link_goes_on_leading_to_the_file() {
    let dir = tempfile::tempdir().expect("a folder");
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    fs::write(&file, "old").expect("written");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    let mut new = NewFile::create(&link, None).expect("a file");
    new.write_all(b"new").expect("written");
    new.finish().expect("in its place");
    assert!(fs::symlink_metadata(&link).expect("metadata").is_symlink());
    assert_eq!(fs::read(&file).expect("a file"), b"new");
}

#[test]
fn a_link_to_what_is_not_there_yet_leads_to_it_afterwards() {
    let dir = tempfile::tempdir().expect("a folder");
    let (link, second) = (dir.path().join("link"), dir.path().join("second"));
    std::os::unix::fs::symlink("second", &link).expect("a link");
    std::os::unix::fs::symlink("file", &second).expect("a link");
    NewFile::create(&link, None).expect("a file").finish().expect("in its place");
    for link in [&link, &second] {
        assert!(fs::symlink_metadata(link).expect("metadata").is_symlink());
    }
    assert!(fs::symlink_metadata(dir.path().join("file")).expect("metadata").is_file());
    std::os::unix::fs::symlink("ring", dir.path().join("ring")).expect("a link");
    assert!(NewFile::create(&dir.path().join("ring"), None).is_err());
}

#[test]
fn a_folder_that_is_not_there_is_an_error_at_once() {
    assert!(NewFile::create(Path::new("/nowhere/file"), None).is_err());
}
