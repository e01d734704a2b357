use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

const ANNA: CoinId = CoinId { denomination: 0, serial: 1 };
const BERT: CoinId = CoinId { denomination: 0, serial: 2 };

fn cs_id() -> ContentServerId {
    ContentServerId::new("CS").expect("an ID")
}

fn k(value: u8) -> KeySetId {
    KeySetId::new(value).expect("a key set")
}

fn secret(byte: u8) -> Secret<32> {
    Secret::fill(|secret| *secret = [byte; 32]).expect("secret memory")
}

fn masters(of: &[(u8, u8)]) -> Vec<(KeySetId, Secret<32>)> {
    of.iter().map(|(key_set, byte)| (k(*key_set), secret(*byte))).collect()
}

fn open(dir: &Path) -> Result<KeySets, KeySetsError> {
    KeySets::open(RaidaIndex::new(7).expect("a RAIDA"), dir)
}

struct Stage {
    key_sets: KeySets,
    dir: tempfile::TempDir,
}

impl Stage {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        Self { key_sets: open(dir.path()).expect("key sets"), dir }
    }

    /// Ends the node, as a crash does, and starts it again.
    fn restart(self) -> Self {
        let Self { key_sets, dir } = self;
        drop(key_sets);
        Self { key_sets: open(dir.path()).expect("key sets"), dir }
    }

    fn load(&mut self, coin: CoinId, preloading: Preloading, of: &[(u8, u8)]) -> Result<(), PreloadError> {
        self.key_sets.preload(cs_id(), coin, preloading, masters(of))
    }

    /// The first byte of a master secret, for shares of a width.
    fn byte(&self, key_set: u8, width: ShareWidth) -> Option<u8> {
        Some(self.key_sets.master(&cs_id(), k(key_set), width)?.expose(|secret| secret[0]))
    }

    fn wide(&self, key_set: u8) -> Option<u8> {
        self.byte(key_set, ShareWidth::Wide)
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join(owners::FOLDER)
    }

    fn files(&self) -> usize {
        fs::read_dir(self.folder()).expect("a folder").count()
    }

    /// While `work` runs, nothing can be written.
    fn with_a_read_only_folder<R>(&mut self, work: impl FnOnce(&mut Self) -> R) -> Option<R> {
        let mode =
            |mode| fs::set_permissions(self.folder(), fs::Permissions::from_mode(mode)).expect("a mode");
        mode(0o500);
        // The superuser writes all the same.
        let holds = fs::write(self.folder().join("probe"), b"").is_err();
        let _ = fs::remove_file(self.folder().join("probe"));
        let folder = self.folder();
        let result = holds.then(|| work(self));
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).expect("a mode");
        result
    }
}

#[test]
fn the_first_to_preload_an_id_owns_it_and_still_does_after_a_restart() {
    let mut stage = Stage::new();
    assert_eq!(stage.key_sets.owner(&cs_id()), None);
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7)]).expect("kept");
    for _ in 0..2 {
        assert_eq!(stage.key_sets.owner(&cs_id()), Some(ANNA));
        for preloading in [Preloading::Dated(2000), Preloading::Public] {
            let refused = stage.load(BERT, preloading, &[(1, 8), (2, 8)]);
            assert!(matches!(refused, Err(PreloadError::OwnedBy(ANNA))), "{refused:?}");
        }
        assert_eq!((stage.wide(1), stage.wide(2)), (Some(7), None));
        stage = stage.restart();
    }
    let other = ContentServerId::new("OTHER").expect("an ID");
    let taken = stage.key_sets.preload(other, BERT, Preloading::Dated(1), masters(&[(1, 9)]));
    assert!(taken.is_ok(), "another ID is another's to have");
}

#[test]
fn command_33_replaces_what_it_lists_and_only_in_the_order_of_time() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7), (2, 7)]).expect("kept");
    stage.load(ANNA, Preloading::Dated(1001), &[(2, 8), (3, 8)]).expect("kept");
    for _ in 0..2 {
        assert_eq!([1, 2, 3].map(|key_set| stage.wide(key_set)), [Some(7), Some(8), Some(8)]);
        for stale in [0, 1000, 1001] {
            let refused = stage.load(ANNA, Preloading::Dated(stale), &[(1, 9)]);
            assert!(matches!(refused, Err(PreloadError::NotLater)), "{stale}: {refused:?}");
        }
        stage = stage.restart();
    }
    assert_eq!(stage.files(), 4, "a record and three master secrets, none of them old");
}

#[test]
fn of_a_key_set_that_is_named_twice_the_last_counts() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7), (2, 5), (1, 8)]).expect("kept");
    assert_eq!((stage.wide(1), stage.wide(2), stage.key_sets.len()), (Some(8), Some(5), 2));
    let stage = stage.restart();
    assert_eq!((stage.wide(1), stage.files()), (Some(8), 3));
}

#[test]
fn command_1_adds_key_sets_and_replaces_none() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Public, &[(1, 7)]).expect("kept");
    let files = stage.files();
    stage.load(ANNA, Preloading::Public, &[(1, 7), (1, 7)]).expect("the same again");
    assert_eq!(stage.files(), files, "which writes nothing new");
    for different in [&[(2, 5), (1, 8)][..], &[(2, 5), (2, 6)]] {
        let refused = stage.load(ANNA, Preloading::Public, different);
        assert!(matches!(refused, Err(PreloadError::Different(_))), "{refused:?}");
    }
    let stage = stage.restart();
    assert_eq!((stage.wide(1), stage.wide(2)), (Some(7), None));
}

#[test]
fn what_command_33_has_loaded_is_for_wide_shares_only() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Public, &[(1, 7), (2, 7)]).expect("kept");
    stage.load(ANNA, Preloading::Dated(1000), &[(2, 8), (3, 8)]).expect("kept");
    // The same secret by command 1 changes nothing.
    stage.load(ANNA, Preloading::Public, &[(3, 8)]).expect("the same");
    for _ in 0..2 {
        let narrow = [1, 2, 3].map(|key_set| stage.byte(key_set, ShareWidth::Narrow));
        assert_eq!(narrow, [Some(7), None, None]);
        assert_eq!([1, 2, 3].map(|key_set| stage.wide(key_set)), [Some(7), Some(8), Some(8)]);
        stage = stage.restart();
    }
}

#[test]
fn a_crash_before_the_record_leaves_what_was() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7)]).expect("kept");
    // All that a preload writes before its record, and a temporary file.
    let record = stage.key_sets.records[&cs_id()].clone();
    let held = HeldKeySet { key_set: 1, form: Form::Wide, number: 5 };
    stage.key_sets.write_secret(&record, &held, &secret(8)).expect("written");
    fs::write(stage.folder().join(".tmpAbCdEf"), b"half").expect("written");
    let mut stage = stage.restart();
    assert_eq!((stage.wide(1), stage.files()), (Some(7), 2), "and what was left behind is gone");
    stage.load(ANNA, Preloading::Dated(1001), &[(1, 8)]).expect("kept");
    assert_eq!(stage.restart().wide(1), Some(8));
}

#[test]
fn a_crash_after_the_record_leaves_what_is_new() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7)]).expect("kept");
    let old = stage.key_sets.records[&cs_id()].clone();
    let old_file = old.secret_file(&stage.folder(), &old.key_sets[0]);
    let sealed = fs::read(&old_file).expect("a sealed file");
    stage.load(ANNA, Preloading::Dated(1001), &[(1, 8)]).expect("kept");
    assert!(!old_file.exists());
    fs::write(&old_file, sealed).expect("as if it had not been removed yet");
    let mut stage = stage.restart();
    assert_eq!(stage.wide(1), Some(8));
    assert!(!old_file.exists(), "what is replaced is gone");
    assert!(matches!(stage.load(ANNA, Preloading::Dated(1001), &[(1, 7)]), Err(PreloadError::NotLater)));
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7)]).expect("kept");
    let failed = stage.with_a_read_only_folder(|stage| stage.load(ANNA, Preloading::Dated(1001), &[(1, 8)]));
    assert!(matches!(failed, None | Some(Err(PreloadError::Seal(_)))), "{failed:?}");
    // The record cannot be replaced where a folder lies in its place.
    let record = stage.folder().join(hex::encode(cs_id().padded())).with_extension("json");
    let kept = fs::read(&record).expect("a record");
    fs::remove_file(&record).expect("removed");
    fs::create_dir_all(record.join("inside")).expect("a folder");
    let failed = stage.load(ANNA, Preloading::Dated(1001), &[(1, 8), (2, 8)]);
    assert!(matches!(failed, Err(PreloadError::Owners(_))), "{failed:?}");
    assert_eq!((stage.wide(1), stage.wide(2)), (Some(7), None));
    fs::remove_dir_all(&record).expect("removed");
    fs::write(&record, kept).expect("written");
    stage.load(ANNA, Preloading::Dated(1001), &[(1, 9)]).expect("the time of what failed is still free");
    let stage = stage.restart();
    assert_eq!((stage.wide(1), stage.wide(2), stage.files()), (Some(9), None, 2));
}

#[test]
fn a_damaged_master_secret_is_removed_and_the_id_stays_its_owners() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7), (2, 7)]).expect("kept");
    let record = stage.key_sets.records[&cs_id()].clone();
    let file = record.secret_file(&stage.folder(), &record.key_sets[0]);
    let mut bytes = fs::read(&file).expect("read");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(&file, bytes).expect("written");
    let mut stage = stage.restart();
    assert_eq!((stage.wide(1), stage.wide(2), file.exists()), (None, Some(7), false));
    assert_eq!(stage.key_sets.owner(&cs_id()), Some(ANNA));
    stage.load(ANNA, Preloading::Dated(1001), &[(1, 8)]).expect("kept");
    assert_eq!(stage.restart().wide(1), Some(8));
}

#[test]
fn the_file_of_another_key_set_or_of_an_older_secret_is_not_taken_for_one() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7), (2, 8)]).expect("kept");
    let files = |stage: &Stage| -> Vec<PathBuf> {
        let record = &stage.key_sets.records[&cs_id()];
        record.key_sets.iter().map(|held| record.secret_file(&stage.folder(), held)).collect()
    };
    let older = fs::read(&files(&stage)[0]).expect("a sealed file");
    stage.load(ANNA, Preloading::Dated(1001), &[(1, 9)]).expect("kept");
    let [other, own] = &files(&stage)[..] else { panic!("two files") };
    let sealed = fs::read(own).expect("a sealed file");
    for wrong in [older, fs::read(other).expect("a sealed file")] {
        fs::write(own, wrong).expect("written");
        let record = stage.key_sets.records[&cs_id()].clone();
        assert!(stage.key_sets.read(&record, &record.key_sets[1], own).is_err());
    }
    fs::write(own, sealed).expect("written");
    let stage = stage.restart();
    assert_eq!((stage.wide(1), stage.wide(2)), (Some(9), Some(8)));
}

#[test]
fn a_damaged_record_gives_no_id_away() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7)]).expect("kept");
    let record = stage.folder().join(hex::encode(cs_id().padded())).with_extension("json");
    fs::write(&record, b"{}").expect("written");
    let Stage { key_sets, dir } = stage;
    drop(key_sets);
    assert!(matches!(open(dir.path()), Err(KeySetsError::Owners(OwnersError::Record { .. }))));
}

#[test]
fn an_id_that_is_moved_loses_its_key_sets_and_keeps_its_time() {
    let mut stage = Stage::new();
    assert!(matches!(
        owners::move_to(&stage.dir.path().join("x"), &cs_id(), BERT, None),
        Err(OwnersError::NotANode(_))
    ));
    stage.load(ANNA, Preloading::Dated(1000), &[(2, 7), (1, 7)]).expect("kept");
    let Stage { key_sets, dir } = stage;
    assert!(matches!(
        owners::move_to(dir.path(), &cs_id(), BERT, None),
        Err(OwnersError::DataDir(DataDirError::InUse(_)))
    ));
    let owned = owners::list(dir.path()).expect("a list, though the node runs");
    drop(key_sets);
    let other = ContentServerId::new("OTHER").expect("an ID");
    assert!(matches!(owners::move_to(dir.path(), &other, BERT, None), Err(OwnersError::NotOwned(_))));
    assert!(matches!(owners::move_to(dir.path(), &cs_id(), ANNA, None), Err(OwnersError::SameOwner { .. })));
    let before = owners::move_to(dir.path(), &cs_id(), BERT, None).expect("moved");
    assert_eq!(
        (owned.as_slice(), before.key_sets.as_slice()),
        ([before.clone()].as_slice(), [k(1), k(2)].as_slice())
    );
    let mut stage = Stage { key_sets: open(dir.path()).expect("key sets"), dir };
    assert_eq!((stage.key_sets.owner(&cs_id()), stage.key_sets.len(), stage.files()), (Some(BERT), 0, 1));
    assert!(matches!(stage.load(ANNA, Preloading::Dated(1001), &[(1, 7)]), Err(PreloadError::OwnedBy(BERT))));
    assert!(matches!(stage.load(BERT, Preloading::Dated(1000), &[(1, 8)]), Err(PreloadError::NotLater)));
    stage.load(BERT, Preloading::Dated(1001), &[(1, 8)]).expect("kept");
    assert_eq!(stage.wide(1), Some(8));
}

fn secret_files(stage: &Stage) -> Vec<PathBuf> {
    let record = &stage.key_sets.records[&cs_id()];
    record.key_sets.iter().map(|held| record.secret_file(&stage.folder(), held)).collect()
}

#[test]
fn a_damaged_master_secret_is_moved_aside_and_its_copy_can_be_put_back() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7), (2, 8)]).expect("kept");
    let file = secret_files(&stage)[0].clone();
    let good = fs::read(&file).expect("a sealed file");
    for at in [0, 20, good.len() - 50, good.len() - 1] {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        fs::write(&file, &damaged).expect("written");
        stage = stage.restart();
        assert_eq!((stage.wide(1), stage.wide(2)), (None, Some(8)), "byte {at}");
        assert!(!file.exists());
        fs::write(&file, &good).expect("put back");
        stage = stage.restart();
        assert_eq!((stage.wide(1), stage.wide(2)), (Some(7), Some(8)), "byte {at}");
    }
    fs::write(&file, &good[..30]).expect("cut");
    stage = stage.restart();
    let aside = fs::read_dir(stage.dir.path().join("damaged")).expect("a folder").count();
    assert_eq!((stage.wide(1), aside), (None, 5), "nothing moved aside is replaced or removed");
    stage.load(ANNA, Preloading::Dated(1001), &[(1, 9)]).expect("kept");
    stage = stage.restart();
    assert_eq!((stage.wide(1), stage.wide(2), stage.files()), (Some(9), Some(8), 3));
}

#[test]
fn a_node_without_its_master_key_does_not_start_and_loses_nothing() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7)]).expect("kept");
    let Stage { key_sets, dir } = stage;
    drop(key_sets);
    let (key, saved) = (dir.path().join("master.key"), dir.path().join("saved"));
    fs::rename(&key, &saved).expect("moved");
    let error = open(dir.path()).err().expect("refused").to_string();
    assert!(error.contains("master.key is missing") && error.contains("backup"), "{error}");
    assert!(!key.exists(), "no new one in its place");
    fs::rename(&saved, &key).expect("moved back");
    let stage = Stage { key_sets: open(dir.path()).expect("key sets"), dir };
    assert_eq!(stage.wide(1), Some(7));
}

#[test]
fn a_master_secret_that_cannot_be_read_now_stops_the_node_and_is_left() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7)]).expect("kept");
    let (file, elsewhere) = (secret_files(&stage)[0].clone(), stage.dir.path().join("elsewhere"));
    let Stage { key_sets, dir } = stage;
    drop(key_sets);
    fs::rename(&file, &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, &file).expect("a link");
    let error = open(dir.path()).err().expect("refused");
    assert!(matches!(error, KeySetsError::Read { .. }), "{error}");
    assert!(file.is_symlink() && elsewhere.is_file());
    fs::rename(&elsewhere, &file).expect("moved back");
    assert_eq!(open(dir.path()).expect("key sets").len(), 1);
}

#[test]
fn a_start_removes_what_a_preload_left_behind_and_nothing_else() {
    let mut stage = Stage::new();
    stage.load(ANNA, Preloading::Dated(1000), &[(1, 7)]).expect("kept");
    let named = secret_files(&stage)[0].clone();
    let name = named.file_name().expect("a name").to_string_lossy().replace("-k1-", "-k2-");
    fs::copy(&named, stage.folder().join(name)).expect("left behind");
    for other in ["README", "backup.tar", "old-k1-copy"] {
        fs::write(stage.folder().join(other), "another's").expect("written");
    }
    assert_eq!(stage.files(), 6);
    let stage = stage.restart();
    assert_eq!((stage.files(), stage.wide(1)), (5, Some(7)));
}
