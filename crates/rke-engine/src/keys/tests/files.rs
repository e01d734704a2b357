//! What happens to a modified file of the cache, at a start and when it is read.

use super::*;

/// What happens to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It stays, and its contents are used.
    Used,
    /// It stays unused.
    Left,
    /// It is moved to the damaged files.
    Aside,
    /// It is moved to the keys of earlier runs.
    Earlier,
    Gone,
}

fn fate(dir: &tempfile::TempDir, keystore: &Keystore, name: &str) -> Fate {
    let lies_in = |folder: &str| dir.path().join(folder).join(name).symlink_metadata().is_ok();
    match (lies_in(FOLDER), lies_in("damaged"), lies_in(aside::EARLIER)) {
        (true, false, false) if get(keystore, "a.test").is_some() => Fate::Used,
        (true, false, false) => Fate::Left,
        (false, true, false) => Fate::Aside,
        (false, false, true) => Fate::Earlier,
        (false, false, false) => Fate::Gone,
        _ => panic!("{name} lies in several folders"),
    }
}

fn wide() -> Kept {
    key("a.test", 1)
}

fn narrow() -> Kept {
    narrow_key("a.test", 1)
}

fn expired() -> Kept {
    let mut kept = wide();
    let KeptSecret::Resumption { lives_until, .. } = &mut kept.secret else { unreachable!("a narrow key") };
    *lives_until = unix_seconds();
    kept
}

/// Changes the contents of a file.
fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("a file");
    change(&mut bytes);
    fs::write(path, bytes).expect("written");
}

/// Replaces the file with one for the same key from another daemon's cache.
fn put_a_foreign_one_there(path: &Path) {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    keystore.put(&wide(), &Viewer::Program).expect("cached");
    fs::copy(keystore.path_of(&whose(&wide())), path).expect("copied");
}

fn put_a_link_there(path: &Path) {
    let elsewhere = path.with_file_name("../elsewhere");
    fs::rename(path, &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, path).expect("a link");
}

/// A change made to a file.
type Change = fn(&Path);

/// The written key, the change made to its file, and the file's fate at a start and when it is read.
type Case = (&'static str, fn() -> Kept, Change, [Fate; 2]);

#[test]
fn a_file_that_is_not_as_it_was_written_is_never_used_and_seldom_removed() {
    let cases: [Case; 16] = [
        ("as it was", wide, |_| (), [Fate::Used, Fate::Used]),
        (
            "last byte",
            wide,
            |path| change(path, |bytes| *bytes.last_mut().expect("one") ^= 1),
            [Fate::Aside; 2],
        ),
        ("description", wide, |path| change(path, |bytes| bytes[40] ^= 1), [Fate::Aside; 2]),
        ("length", wide, |path| change(path, |bytes| bytes[9] ^= 0x80), [Fate::Aside; 2]),
        ("magic", wide, |path| change(path, |bytes| bytes[0] = b'S'), [Fate::Aside; 2]),
        ("version", wide, |path| change(path, |bytes| bytes[8] += 1), [Fate::Aside; 2]),
        (
            "cut by one byte",
            wide,
            |path| change(path, |bytes| bytes.truncate(bytes.len() - 1)),
            [Fate::Aside; 2],
        ),
        ("cut by half", wide, |path| change(path, |bytes| bytes.truncate(bytes.len() / 2)), [Fate::Aside; 2]),
        ("empty", wide, |path| change(path, Vec::clear), [Fate::Aside; 2]),
        ("longer", wide, |path| change(path, |bytes| bytes.push(0)), [Fate::Aside; 2]),
        ("all zero", wide, |path| change(path, |bytes| bytes.fill(0)), [Fate::Aside; 2]),
        ("another daemon's", wide, put_a_foreign_one_there, [Fate::Aside; 2]),
        ("a link", wide, put_a_link_there, [Fate::Left; 2]),
        ("removed", wide, |path| fs::remove_file(path).expect("removed"), [Fate::Gone; 2]),
        ("expired", expired, |_| (), [Fate::Gone; 2]),
        // The run that wrote it knows how much it has encrypted.
        ("a narrow key", narrow, |_| (), [Fate::Earlier, Fate::Used]),
    ];
    for (what, kept, change, [at_start, when_read]) in cases {
        let dir = tempfile::tempdir().expect("a folder");
        let kept = kept();
        let keystore = open(&dir, 24, 64);
        keystore.put(&kept, &Viewer::Program).expect("cached");
        let path = keystore.path_of(&whose(&kept));
        let name = path.file_name().expect("a name").to_string_lossy();
        drop(keystore);
        change(&path);
        assert_eq!(fate(&dir, &open(&dir, 24, 64), &name), at_start, "{what}, at a start");

        let dir = tempfile::tempdir().expect("a folder");
        let keystore = open(&dir, 24, 64);
        keystore.put(&kept, &Viewer::Program).expect("cached");
        change(&keystore.path_of(&whose(&kept)));
        let is_used = get(&keystore, "a.test").is_some();
        assert_eq!(is_used, when_read == Fate::Used, "{what}");
        assert_eq!(fate(&dir, &keystore, &name), when_read, "{what}, when it is read");
        let is_indexed = matches!(when_read, Fate::Used | Fate::Left);
        assert_eq!(keystore.count().total, usize::from(is_indexed), "{what}");
    }
}

#[test]
fn what_else_lies_in_the_folder_is_moved_aside_and_what_was_not_finished_is_removed() {
    for (name, copies, expected) in [
        ("copy.cache", true, Fate::Aside),
        ("copy", true, Fate::Aside),
        ("garbage", false, Fate::Aside),
        ("garbage.cache", false, Fate::Aside),
        (".garbage", false, Fate::Aside),
        (".tmpgarbage", false, Fate::Gone),
        // Complete, but in the wrong place.
        (".tmpcopy", true, Fate::Gone),
    ] {
        let dir = tempfile::tempdir().expect("a folder");
        let keystore = open(&dir, 24, 64);
        keystore.put(&wide(), &Viewer::Program).expect("cached");
        let good = keystore.path_of(&whose(&wide()));
        let bytes = if copies { fs::read(&good).expect("a file") } else { b"garbage".to_vec() };
        fs::write(good.with_file_name(name), bytes).expect("written");
        drop(keystore);
        let keystore = open(&dir, 24, 64);
        assert_eq!(fate(&dir, &keystore, name), expected, "{name}");
        assert!(get(&keystore, "a.test").is_some() && files(&dir) == [good], "{name}");
    }
}

#[test]
fn what_is_moved_aside_takes_the_place_of_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    for times in 1..=3_u8 {
        let keystore = open(&dir, 24, 64);
        keystore.put(&wide(), &Viewer::Program).expect("cached");
        fs::write(keystore.path_of(&whose(&wide())), [times]).expect("written");
        assert!(get(&keystore, "a.test").is_none());
    }
    let aside = fs::read_dir(dir.path().join("damaged")).expect("a folder").flatten();
    let mut bytes: Vec<_> = aside.map(|entry| fs::read(entry.path()).expect("a file")).collect();
    bytes.sort_unstable();
    assert_eq!(bytes, [[1], [2], [3]]);
}
