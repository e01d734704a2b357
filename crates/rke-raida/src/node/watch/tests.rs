use std::os::unix::fs::symlink;

use super::*;

struct Stage {
    dir: tempfile::TempDir,
    watch: CoinWatch,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("a.bin"), "a").expect("written");
        let watch = CoinWatch::new(vec![dir.path().to_owned(), dir.path().join("later")]);
        Self { dir, watch }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Whether a change is noticed once, when it has stood for two looks.
    fn notices(&mut self) -> bool {
        [(); 4].map(|()| self.watch.has_changed()) == [false, true, false, false]
    }
}

#[test]
fn what_stays_is_not_a_change() {
    let mut stage = Stage::new();
    fs::write(stage.path("notes.txt"), "not a coin file").expect("written");
    assert_eq!([(); 4].map(|()| stage.watch.has_changed()), [false; 4]);
}

#[test]
fn a_new_a_changed_a_replaced_and_a_removed_file_are_each_noticed_once() {
    let mut stage = Stage::new();
    fs::write(stage.path("b.bin"), "b").expect("written");
    assert!(stage.notices(), "a new file");
    fs::write(stage.path("b.bin"), "bb").expect("written");
    assert!(stage.notices(), "a longer file");
    fs::write(stage.path("c"), "cc").expect("written");
    fs::rename(stage.path("c"), stage.path("b.bin")).expect("renamed");
    assert!(stage.notices(), "another file of that name");
    fs::remove_file(stage.path("b.bin")).expect("removed");
    assert!(stage.notices(), "a removed file");
    symlink(stage.path("nowhere"), stage.path("d.bin")).expect("a link");
    assert!(stage.notices(), "a link");
    fs::write(stage.path("nowhere"), "d").expect("written");
    assert!(stage.notices(), "the link's target");
}

#[test]
fn folders_that_appear_later_are_noticed() {
    let mut stage = Stage::new();
    for (folder, file) in [("Bank", "Bank/b.bin"), ("later", "later/c.BIN")] {
        fs::create_dir(stage.path(folder)).expect("a folder");
        fs::write(stage.path(file), "a coin").expect("written");
        assert!(stage.notices(), "{file}");
    }
    fs::remove_dir_all(stage.path("later")).expect("removed");
    assert!(stage.notices());
}

#[test]
fn files_that_are_still_being_written_wait() {
    let mut stage = Stage::new();
    for len in 1..10 {
        fs::write(stage.path("b.bin"), vec![0; len]).expect("written");
        assert!(!stage.watch.has_changed(), "{len}");
    }
    assert!(stage.watch.has_changed() && !stage.watch.has_changed());
}

#[test]
fn a_change_that_is_undone_before_it_is_read_is_not_a_change() {
    let mut stage = Stage::new();
    fs::write(stage.path("b.bin"), "b").expect("written");
    assert!(!stage.watch.has_changed());
    fs::remove_file(stage.path("b.bin")).expect("removed");
    assert_eq!([(); 4].map(|()| stage.watch.has_changed()), [false; 4]);
}
