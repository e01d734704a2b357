//! Key sets on disk: rotated, retired, damaged.

use rke_proto::RaidaIndex;

use super::*;

fn ring(dir: &Path) -> KeyRing {
    KeyRing::open(ContentServerId::new("CS").expect("an ID"), dir).expect("a key ring")
}

fn all() -> Bitmap {
    RaidaIndex::all().collect()
}

fn first(ring: &mut KeyRing) -> Arc<MasterSecrets> {
    ring.open_or_make(KeySetId::new(1).expect("k1"), Form::Wide).expect("a key set")
}

fn ids(ring: &KeyRing) -> Vec<u8> {
    ring.sets().iter().map(|set| set.secrets.key_set().get()).collect()
}

#[test]
fn rotating_makes_one_key_set_after_the_other_and_a_failed_rotation_is_taken_up_again() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut ring = ring(dir.path());
    assert!(matches!(ring.next_key_set(), Err(ContentServerError::NoKeySet(_))), "nothing to rotate from");
    assert_eq!(first(&mut ring).key_set().get(), 1);
    assert_eq!(ring.next_key_set().expect("a key set").key_set().get(), 1);
    ring.note_preloaded(KeySetId::new(1).expect("k1"), all(), 7).expect("noted");
    assert_eq!(ring.next_key_set().expect("a key set").key_set().get(), 2);
    assert_eq!(ids(&ring), [1, 2]);
}

#[test]
fn another_process_sees_what_was_added_and_when_it_retires() {
    let dir = tempfile::tempdir().expect("a folder");
    let (mut writer, mut second) = (ring(dir.path()), ring(dir.path()));
    let made = first(&mut writer);
    writer.note_preloaded(made.key_set(), all(), 7).expect("noted");
    let newer = writer.next_key_set().expect("a key set");
    writer.retire_below(newer.key_set(), 1234).expect("retired");
    second.refresh().expect("refreshed");
    assert_eq!(ids(&second), [1, 2]);
    assert_eq!(second.sets()[0].retires_at, Some(1234));
    assert_eq!(second.sets()[1].retires_at, None);
    writer.retire_below(newer.key_set(), 9999).expect("retired");
    assert_eq!(writer.sets()[0].retires_at, Some(1234), "not later than said before");
}

#[test]
fn a_list_says_what_is_known_of_each_key_set_and_changes_nothing() {
    let dir = tempfile::tempdir().expect("a folder");
    assert_eq!(list_key_sets(dir.path()).expect("a list"), []);
    assert_eq!(fs::read_dir(dir.path()).expect("a folder").count(), 0, "nothing is made");
    let mut ring = ring(dir.path());
    let made = first(&mut ring);
    ring.note_preloaded(made.key_set(), all(), 7).expect("noted");
    let second = ring.open_or_make(KeySetId::new(2).expect("k2"), Form::Live).expect("a key set");
    ring.retire_below(second.key_set(), 1234).expect("retired");
    let other = ContentServerId::new("ANOTHER").expect("an ID");
    drop(first(&mut KeyRing::open(other, dir.path()).expect("a key ring")));
    fs::create_dir(dir.path().join(format!("{}.new", ring.folder_name(made.key_set())))).expect("a folder");
    let listed = |cs_id, key_set, form, is_preloaded: bool, retires_at| {
        let key_set = KeySetId::new(key_set).expect("a key set");
        let raidas = RaidaIndex::all().map(|raida| (raida, 7)).collect();
        let preloaded = is_preloaded.then_some(Preloaded { since: Some(7), raidas });
        ListedKeySet { cs_id, key_set, form, preloaded, retires_at }
    };
    let expected = [
        listed(other, 1, Form::Wide, false, None),
        listed(ring.cs_id, 1, Form::Wide, true, Some(1234)),
        listed(ring.cs_id, 2, Form::Live, false, None),
    ];
    assert_eq!(list_key_sets(dir.path()).expect("a list"), expected);
    let missing = list_key_sets(&dir.path().join("nothing"));
    assert!(matches!(missing, Err(ContentServerError::Files { .. })), "{missing:?}");
}

#[test]
fn a_key_set_says_since_when_it_is_preloaded_and_when_each_raida_confirmed_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut ring = ring(dir.path());
    let key_set = first(&mut ring).key_set();
    let file = ring.folder(key_set).join(PRELOADED);
    // As earlier versions wrote it.
    fs::write(&file, "").expect("written");
    let preloaded = || list_key_sets(dir.path()).expect("a list")[0].preloaded.clone();
    assert_eq!(preloaded(), Some(Preloaded::default()));
    let raida = |index| RaidaIndex::new(index).expect("a RAIDA");
    ring.note_preloaded(key_set, [0, 1].map(raida).into_iter().collect(), 100).expect("noted");
    ring.note_preloaded(key_set, [1, 24].map(raida).into_iter().collect(), 200).expect("noted");
    let raidas = [(raida(0), 100), (raida(1), 200), (raida(24), 200)].into_iter().collect();
    assert_eq!(preloaded(), Some(Preloaded { since: Some(100), raidas }));
    for wrong in ["since long\n", "raida 25 100\n", "raida 7\n", "\n"] {
        fs::write(&file, wrong).expect("written");
        assert!(matches!(list_key_sets(dir.path()), Err(ContentServerError::Files { .. })), "{wrong:?}");
    }
}

#[test]
fn each_preload_is_later_than_the_last_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let next = |now| ring(dir.path()).next_preload(now).expect("a time");
    assert_eq!([next(1000), next(1000), next(1000), next(1001), next(1010)], [1000, 1001, 1002, 1003, 1010]);
    assert_eq!(next(711), 1011, "a clock that was set back");
    assert_eq!(next(500), 500, "one that was far ahead");
    let other = KeyRing::open(ContentServerId::new("OTHER").expect("an ID"), dir.path()).expect("a key ring");
    assert_eq!(other.next_preload(500).expect("a time"), 500);
    assert!(ring(dir.path()).sets().is_empty());
}

#[test]
fn a_damaged_master_secret_is_an_error_and_not_a_new_one() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(first(&mut ring(dir.path())));
    let folder = ring(dir.path()).folder(KeySetId::new(1).expect("k1"));
    fs::write(folder.join("raida-03"), b"damaged").expect("written");
    assert!(KeyRing::open(ContentServerId::new("CS").expect("an ID"), dir.path()).is_err());
}

#[test]
fn master_secrets_that_cannot_be_written_are_no_reason_for_a_backup() {
    let dir = tempfile::tempdir().expect("a folder");
    let ring = ring(dir.path());
    let secrets = MasterSecrets::random(ring.cs_id(), KeySetId::new(1).expect("k1")).expect("secrets");
    let file = dir.path().join("a-file");
    fs::write(&file, "").expect("written");
    let refused = secrets.write(ring.data_dir(), &file).expect_err("no folder").to_string();
    assert!(refused.contains("no key set was made") && !refused.contains("backup"), "{refused}");
}

fn damage(ring: &KeyRing, key_set: u8) -> PathBuf {
    let folder = ring.folder(KeySetId::new(key_set).expect("a key set"));
    let file = folder.join("raida-03");
    let mut bytes = fs::read(&file).expect("a sealed file");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(file, bytes).expect("written");
    folder
}

fn two_key_sets(dir: &Path) -> KeyRing {
    let mut ring = ring(dir);
    first(&mut ring);
    ring.note_preloaded(KeySetId::new(1).expect("k1"), all(), 7).expect("noted");
    ring.next_key_set().expect("k2");
    ring
}

fn open(dir: &Path) -> Result<KeyRing, ContentServerError> {
    KeyRing::open(ContentServerId::new("CS").expect("an ID"), dir)
}

#[test]
fn a_damaged_key_set_that_has_retired_is_moved_aside_and_does_not_stop_the_others() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut ring = two_key_sets(dir.path());
    let folder = damage(&ring, 1);
    assert!(open(dir.path()).is_err(), "it is still served");
    ring.retire_below(KeySetId::new(2).expect("k2"), 1).expect("retired");
    drop(ring);
    assert_eq!(ids(&open(dir.path()).expect("a key ring")), [2]);
    let aside = dir.path().join("damaged").join(folder.file_name().expect("a name"));
    assert!(!folder.exists() && aside.join("raida-03").is_file() && aside.join("raida-24").is_file());
    assert_eq!(ids(&open(dir.path()).expect("a key ring")), [2]);
}

#[test]
fn a_damaged_key_set_in_use_is_an_error_and_all_stay_where_they_are() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut ring = two_key_sets(dir.path());
    ring.retire_below(KeySetId::new(2).expect("k2"), 1).expect("retired");
    let folders = [damage(&ring, 1), damage(&ring, 2)];
    drop(ring);
    let error = open(dir.path()).err().expect("refused").to_string();
    assert!(error.contains("raida-03") && error.contains("backup"), "{error}");
    assert!(folders.iter().all(|folder| folder.is_dir()));
}

#[test]
fn key_sets_without_the_master_key_are_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    drop(two_key_sets(dir.path()));
    let key = dir.path().join("master.key");
    fs::rename(&key, dir.path().join("saved")).expect("moved");
    for id in ["CS", "OTHER"] {
        let opened = KeyRing::open(ContentServerId::new(id).expect("an ID"), dir.path());
        let error = opened.err().expect("refused").to_string();
        assert!(error.contains("master.key is missing") && !key.exists(), "{error}");
    }
    fs::rename(dir.path().join("saved"), &key).expect("moved back");
    assert_eq!(ids(&open(dir.path()).expect("a key ring")), [1, 2]);
}

#[test]
fn a_narrow_key_set_is_never_there_without_its_mark() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut ring = ring(dir.path());
    let k = |number| KeySetId::new(number).expect("a key set");
    // What an attempt for narrow shares leaves that was killed before its key set was there.
    let unfinished = ring.data_dir.folder(&(ring.folder_name(k(1)) + ".new")).expect("a folder");
    fs::write(unfinished.join(NARROW), "").expect("written");
    first(&mut ring);
    assert_eq!(ring.sets()[0].form, Form::Wide);
    ring.note_preloaded(k(1), all(), 7).expect("noted");
    for (number, form) in [(2, Form::Live), (3, Form::Handshake3Narrow)] {
        ring.open_or_make(k(number), form).expect("a key set");
    }
    let next = ring.next_key_set().expect("a key set").key_set();
    assert_eq!((next, ring.form(next)), (k(4), Form::Wide), "one that nobody preloaded is not taken");
    drop(ring);
    let again = open(dir.path()).expect("a key ring");
    let forms = again.sets().iter().map(|set| set.form).collect::<Vec<_>>();
    assert_eq!(forms, [Form::Wide, Form::Live, Form::Handshake3Narrow, Form::Wide]);
    // A mark that is damaged is not taken for that of another form.
    fs::write(again.folder(k(3)).join(NARROW), "handshake-4").expect("written");
    let refused = open(dir.path()).err().map(|error| error.to_string());
    assert!(refused.is_some_and(|text| text.contains("narrow-shares: it is neither empty nor")));
}
