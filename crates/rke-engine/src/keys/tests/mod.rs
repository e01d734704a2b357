//! The key cache's rules, one test each.

mod entries;
mod files;
mod pages;

use std::sync::mpsc;

use rke_host::data_dir::{Role, Sharing};
use rke_proto::handshake::ResumptionId;
use rke_proto::tunnel::ClientKeyId;
use rke_secret::Secret;

use super::*;
use crate::model::key_origin::{KeyOrigin, TunnelName, samples};
use crate::model::usage::{Usage, UsageLimits};

fn of_byte(byte: u8) -> Secret<32> {
    Secret::fill(|key| *key = [byte; 32]).expect("a secret")
}

fn key(of: &str, byte: u8) -> Kept {
    let secret = KeptSecret::Resumption {
        secret: of_byte(byte),
        id: ResumptionId([byte; 16]),
        lives_until: unix_seconds() + 86_400,
    };
    let origin = KeyOrigin { domain: domain(of), ..samples::origin(Form::Wide) };
    Kept { origin: Arc::new(origin), secret }
}

fn narrow_key(of: &str, byte: u8) -> Kept {
    let tunnel = Some(TunnelName { key_id: ClientKeyId([1, 2, 3, 4, 5]), session: [6; 8] });
    let origin = Arc::new(KeyOrigin { domain: domain(of), tunnel, ..samples::origin(Form::Live) });
    let secret = KeptSecret::Narrow { key: of_byte(byte), usage: Arc::default() };
    Kept { origin, secret }
}

/// The same, with the coins of another exchange.
fn with_coins(mut kept: Kept, coins: &[u32]) -> Kept {
    let coins = coins.iter().map(|serial| CoinId { denomination: 0, serial: *serial }).collect();
    kept.origin = Arc::new(KeyOrigin { coins, ..(*kept.origin).clone() });
    kept
}

fn is_same(one: &Kept, other: &Kept) -> bool {
    let same_secret = match (&one.secret, &other.secret) {
        (
            KeptSecret::Resumption { secret, id, lives_until },
            KeptSecret::Resumption { secret: other, id: other_id, lives_until: other_until },
        ) => secret.matches(other) && (id, lives_until) == (other_id, other_until),
        (KeptSecret::Narrow { key, usage }, KeptSecret::Narrow { key: other, usage: other_usage }) => {
            key.matches(other) && usage.so_far() == other_usage.so_far()
        }
        _ => false,
    };
    same_secret && one.origin == other.origin
}

/// The kept exchange for a wallet that holds all coins.
fn get(keystore: &Keystore, of: &str) -> Option<Kept> {
    keystore.get(&domain(of), |_| true)
}

fn domain(name: &str) -> Domain {
    Domain::new(name).expect("a domain")
}

fn open(dir: &tempfile::TempDir, ttl_hours: u64, max: usize) -> Keystore {
    let data_dir =
        Arc::new(DataDir::open(dir.path(), Role::Daemon, Sharing::Alone).expect("a data directory"));
    Keystore::open(data_dir, Limits { ttl_hours, max }).expect("a keystore")
}

fn files(dir: &tempfile::TempDir) -> Vec<PathBuf> {
    fs::read_dir(dir.path().join(FOLDER)).expect("a folder").flatten().map(|entry| entry.path()).collect()
}

#[test]
fn a_key_comes_back_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let kept = key("a.test", 1);
    open(&dir, 24, 64).put(&kept, &Viewer::Program).expect("cached");
    let again = open(&dir, 24, 64);
    assert!(is_same(&get(&again, "a.test").expect("a cached key"), &kept));
    assert!(get(&again, "b.test").is_none());
    assert_eq!(again.count(), Count { total: 1, valid: 1 });
}

#[test]
fn an_expired_key_is_removed() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 0, 64);
    keystore.put(&key("a.test", 1), &Viewer::Program).expect("cached");
    assert_eq!(keystore.count(), Count { total: 1, valid: 0 });
    keystore.sweep();
    assert_eq!((keystore.count().total, files(&dir).len()), (0, 0));
    keystore.put(&key("a.test", 1), &Viewer::Program).expect("cached");
    assert!(get(&keystore, "a.test").is_none());
    assert!(files(&dir).is_empty());
}

#[test]
fn a_full_cache_gives_up_the_first_to_expire() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 2);
    let first = key("a.test", 1);
    keystore.put(&first, &Viewer::Program).expect("cached");
    keystore.lock().insert(
        whose(&first),
        Indexed::new(&first, None, unix_seconds() + 3600, WriteId { run: [0; 16], number: 0 }),
    );
    keystore.put(&key("b.test", 2), &Viewer::Program).expect("cached");
    keystore.put(&key("b.test", 3), &Viewer::Program).expect("replaced");
    assert!(get(&keystore, "a.test").is_some());
    keystore.put(&key("c.test", 4), &Viewer::Program).expect("cached");
    assert!(get(&keystore, "a.test").is_none());
    assert_eq!((keystore.count().total, files(&dir).len()), (2, 2));
}

#[test]
fn a_file_says_that_it_is_of_the_cache_and_one_that_says_otherwise_is_moved_aside() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    keystore.put(&key("a.test", 1), &Viewer::Program).expect("cached");
    let path = keystore.path_of(&whose(&key("a.test", 1)));
    assert!(path.extension().is_some_and(|extension| extension == "cache"));
    let bytes = fs::read(&path).expect("read");
    let rest = bytes.strip_prefix(b"RKECACHE\x01").expect("the magic of the cache and its version");
    drop(keystore);
    let other = [b"RKESEAL1", rest].concat();
    fs::write(&path, &other).expect("written");
    assert_eq!(open(&dir, 24, 64).count().total, 0);
    let aside = dir.path().join("damaged").join(path.file_name().expect("a name"));
    assert!(files(&dir).is_empty() && fs::read(aside).expect("moved") == other);
}

#[test]
fn damaged_and_foreign_files_are_moved_aside_and_not_fatal() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    keystore.put(&key("good.test", 1), &Viewer::Program).expect("cached");
    keystore.put(&key("bad.test", 2), &Viewer::Program).expect("cached");
    let bad = keystore.path_of(&whose(&key("bad.test", 2)));
    let good = keystore.path_of(&whose(&key("good.test", 1)));
    let mut bytes = fs::read(&bad).expect("read");
    *bytes.last_mut().expect("not empty") ^= 1;
    fs::write(&bad, &bytes).expect("written");
    fs::copy(&good, good.with_file_name("renamed.cache")).expect("copied");
    fs::write(good.with_file_name("garbage"), b"garbage").expect("written");
    assert!(get(&keystore, "bad.test").is_none());
    drop(keystore);
    let keystore = open(&dir, 24, 64);
    assert_eq!(keystore.count().total, 1);
    assert_eq!(files(&dir), [good]);
    let aside = dir.path().join("damaged");
    assert_eq!(fs::read(aside.join(bad.file_name().expect("a name"))).expect("moved"), bytes);
    assert!(aside.join("renamed.cache").is_file() && aside.join("garbage").is_file());
}

#[test]
fn a_file_that_cannot_be_read_now_is_left_and_used_later() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    let kept = key("a.test", 1);
    keystore.put(&kept, &Viewer::Program).expect("cached");
    let (path, elsewhere) = (keystore.path_of(&whose(&kept)), dir.path().join("elsewhere"));
    fs::rename(&path, &elsewhere).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, &path).expect("a link");
    assert!(get(&keystore, "a.test").is_none(), "not through a link");
    fs::rename(&elsewhere, &path).expect("moved back");
    assert!(is_same(&get(&keystore, "a.test").expect("still known"), &kept));
}

#[test]
fn a_key_that_is_being_replaced_is_not_taken_for_a_damaged_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    let kept = key("a.test", 1);
    keystore.put(&kept, &Viewer::Program).expect("cached");
    let path = keystore.path_of(&whose(&kept));
    let good = fs::read(&path).expect("a file");
    // A reader that had the file open while it was replaced sees it overwritten.
    fs::write(&path, vec![0; good.len()]).expect("written");
    let writer = keystore.lock_files();
    let (tell, told) = mpsc::channel();
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            tell.send(fs::read_link("/proc/thread-self").expect("a thread")).expect("somebody waits");
            get(&keystore, "a.test")
        });
        // The reader finds it damaged, and waits for the lock on file changes.
        let stat = Path::new("/proc").join(told.recv().expect("a reader")).join("stat");
        let is_waiting = || fs::read_to_string(&stat).is_ok_and(|stat| stat.contains(") S "));
        while !is_waiting() && !reader.is_finished() {
            std::thread::yield_now();
        }
        assert!(!reader.is_finished(), "it was taken for a damaged one");
        fs::write(&path, &good).expect("replaced");
        drop(writer);
        assert!(is_same(&reader.join().expect("no panic").expect("a key"), &kept));
    });
    assert!(files(&dir) == [path] && !dir.path().join("damaged").exists());
}

#[test]
fn a_forgotten_key_is_gone_from_memory_and_disk() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    keystore.put(&key("a.test", 1), &Viewer::Program).expect("cached");
    keystore.put(&key("b.test", 2), &Viewer::Program).expect("cached");
    let removed = keystore.forget(Some(&domain("a.test")), &Viewer::Program);
    assert_eq!((removed.count, removed.remote.len(), removed.failed.is_none()), (1, 1, true));
    assert_eq!(removed.remote[0].id, [1; 16]);
    assert!(removed.remote[0].token.matches(&forget_token(&[1; 32])));
    assert_eq!(keystore.forget(Some(&domain("c.test")), &Viewer::Program).count, 0);
    assert!(get(&keystore, "a.test").is_none() && get(&keystore, "b.test").is_some());
    assert_eq!(files(&dir).len(), 1);
}

#[test]
fn all_keys_are_forgotten_at_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    keystore.put(&key("a.test", 1), &Viewer::Program).expect("cached");
    keystore.put(&narrow_key("b.test", 2), &Viewer::Program).expect("cached");
    assert_eq!(keystore.rows(&Viewer::Program).len(), 2);
    let removed = keystore.forget(None, &Viewer::Program);
    assert_eq!((removed.count, removed.remote.len()), (2, 1), "the live network has no message for it");
    assert!(keystore.rows(&Viewer::Program).is_empty() && files(&dir).is_empty());
}

#[test]
fn a_file_of_an_earlier_form_that_names_no_page_is_moved_aside() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    let kept = key("a.test", 1);
    keystore.put(&kept, &Viewer::Program).expect("cached");
    let path = keystore.path_of(&whose(&kept));
    let (description, secret) = keystore.data_dir.sealer().read::<32>(&path).expect("a sealed file");
    let text = String::from_utf8(description).expect("JSON");
    let earlier = text.replace(r#""page":null,"#, "");
    assert_ne!(earlier, text);
    keystore.data_dir.sealer().write(&path, earlier.as_bytes(), &secret).expect("sealed");
    drop(keystore);
    let keystore = open(&dir, 24, 64);
    assert!(keystore.count().total == 0 && files(&dir).is_empty());
    assert!(dir.path().join("damaged").join(path.file_name().expect("a name")).is_file());
}

fn usage_of(kept: Option<Kept>) -> Arc<Usage> {
    match kept.expect("a key").secret {
        KeptSecret::Narrow { usage, .. } => usage,
        KeptSecret::Resumption { .. } => panic!("a narrow key was cached"),
    }
}

fn earlier(dir: &tempfile::TempDir) -> Vec<PathBuf> {
    let found = fs::read_dir(dir.path().join(aside::EARLIER)).into_iter().flatten().flatten();
    found.map(|entry| entry.path()).collect()
}

#[test]
fn what_a_narrow_key_has_encrypted_counts_for_all_its_sessions() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    keystore.put(&narrow_key("a.test", 1), &Viewer::Program).expect("cached");
    let limits = UsageLimits::default();
    usage_of(get(&keystore, "a.test")).add(3, 500, limits).expect("within the limits");
    usage_of(get(&keystore, "a.test")).add(1, 1, limits).expect("within the limits");
    let kept = get(&keystore, "a.test").expect("a key");
    assert!(matches!(&kept.secret, KeptSecret::Narrow { key, .. } if key.matches(&of_byte(1))));
    assert_eq!(usage_of(Some(kept)).so_far(), (4, 501));
}

#[test]
fn a_narrow_key_is_used_by_the_run_that_has_cached_it_and_by_no_later_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    keystore.put(&narrow_key("a.test", 1), &Viewer::Program).expect("cached");
    keystore.put(&key("b.test", 2), &Viewer::Program).expect("cached");
    let file = keystore.path_of(&whose(&narrow_key("a.test", 1)));
    let older = fs::read(&file).expect("a file");
    drop(keystore);
    let keystore = open(&dir, 24, 64);
    assert!(get(&keystore, "a.test").is_none() && get(&keystore, "b.test").is_some());
    assert_eq!((files(&dir).len(), earlier(&dir).len()), (1, 1));
    assert_eq!(fs::read(&earlier(&dir)[0]).expect("moved, not removed"), older);
    keystore.put(&narrow_key("a.test", 3), &Viewer::Program).expect("cached");
    fs::write(&file, &older).expect("put back into place");
    assert!(get(&keystore, "a.test").is_none());
    assert_eq!((files(&dir).len(), earlier(&dir).len()), (1, 2));
}

#[test]
fn an_older_file_of_the_same_run_is_not_used_either() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    keystore.put(&narrow_key("a.test", 1), &Viewer::Program).expect("cached");
    let file = keystore.path_of(&whose(&narrow_key("a.test", 1)));
    let older = fs::read(&file).expect("a file");
    keystore.put(&narrow_key("a.test", 2), &Viewer::Program).expect("replaced");
    fs::write(&file, &older).expect("put back into place");
    assert!(get(&keystore, "a.test").is_none());
    assert_eq!((files(&dir).len(), earlier(&dir).len()), (0, 1));
}

#[test]
fn a_narrow_key_of_an_earlier_run_goes_when_its_time_is_over_or_it_is_to_be_forgotten() {
    let dir = tempfile::tempdir().expect("a folder");
    for (of, ttl_hours) in [("a.test", 24), ("b.test", 24), ("c.test", 24)] {
        open(&dir, ttl_hours, 64).put(&narrow_key(of, 1), &Viewer::Program).expect("cached");
    }
    let keystore = open(&dir, 24, 64);
    keystore.sweep();
    let page = Viewer::Page(crate::model::viewer::Page::new("http://localhost:3000"));
    assert!(keystore.forget(None, &page).failed.is_none());
    assert_eq!(earlier(&dir).len(), 3, "they were not made for this page");
    keystore.forget(Some(&domain("a.test")), &Viewer::Program);
    assert_eq!(earlier(&dir).len(), 2);
    keystore
        .remove_earlier(|about| about.domain() == Some(domain("b.test")) && about.expires_at > unix_seconds())
        .expect("removed");
    assert_eq!(earlier(&dir).len(), 1);
    assert!(keystore.forget(None, &Viewer::Program).failed.is_none() && earlier(&dir).is_empty());
    // An expired key.
    let expired = open_expired(&dir, &keystore);
    keystore.sweep();
    assert!(!expired.exists());
}

/// Puts the file of an expired key with those of earlier runs.
fn open_expired(dir: &tempfile::TempDir, keystore: &Keystore) -> PathBuf {
    keystore.set_limits(Limits { ttl_hours: 0, max: 64 });
    let kept = narrow_key("d.test", 1);
    keystore.put(&kept, &Viewer::Program).expect("cached");
    let expired = dir.path().join(aside::EARLIER).join("expired");
    fs::rename(keystore.path_of(&whose(&kept)), &expired).expect("moved");
    expired
}

#[test]
fn each_set_of_coins_has_its_own() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    let (one, other) = (with_coins(key("a.test", 1), &[1, 2]), with_coins(key("a.test", 2), &[3]));
    keystore.put(&one, &Viewer::Program).expect("cached");
    keystore.put(&other, &Viewer::Program).expect("cached");
    let with = |held: &[u32]| {
        let held: Vec<u32> = held.to_vec();
        keystore.get(&domain("a.test"), move |coins| coins.iter().all(|coin| held.contains(&coin.serial)))
    };
    assert!(is_same(&with(&[1, 2, 9]).expect("the first"), &one));
    assert!(is_same(&with(&[3]).expect("the second"), &other));
    assert!(with(&[1]).is_none() && with(&[]).is_none());
    let coins: Vec<usize> = keystore.rows(&Viewer::Program).iter().map(|row| row.coins.len()).collect();
    assert_eq!(coins, [2, 1]);
    assert_eq!(keystore.forget(Some(&domain("a.test")), &Viewer::Program).count, 2);
}

#[test]
fn what_the_content_server_does_not_know_is_given_up_unless_it_has_been_replaced() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    keystore.put(&key("a.test", 1), &Viewer::Program).expect("cached");
    let old = get(&keystore, "a.test").expect("cached");
    keystore.put(&key("a.test", 2), &Viewer::Program).expect("replaced");
    keystore.give_up(&old);
    let new = get(&keystore, "a.test").expect("still there");
    keystore.give_up(&new);
    assert!(get(&keystore, "a.test").is_none() && files(&dir).is_empty());
}

#[test]
fn no_key_is_kept_for_longer_than_the_content_server_keeps_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    let mut kept = key("a.test", 1);
    let KeptSecret::Resumption { lives_until, .. } = &mut kept.secret else { unreachable!() };
    let server_keeps_it_until = unix_seconds() + 3600;
    *lives_until = server_keeps_it_until;
    keystore.put(&kept, &Viewer::Program).expect("cached");
    let expires_at = || keystore.rows(&Viewer::Program)[0].expires_at.as_second() as u64;
    assert_eq!(expires_at(), server_keeps_it_until);
    // Nor for longer than the settings allow.
    keystore.set_limits(Limits { ttl_hours: 1, max: 64 });
    let began = unix_seconds();
    keystore.put(&key("a.test", 1), &Viewer::Program).expect("cached");
    assert!((began + 3600..=unix_seconds() + 3600).contains(&expires_at()));
}

#[test]
fn a_cache_of_no_keys_keeps_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 0);
    keystore.put(&key("a.test", 1), &Viewer::Program).expect("not an error");
    assert!(get(&keystore, "a.test").is_none() && files(&dir).is_empty());
}
