use std::fs;

use super::*;

fn sealer(byte: u8) -> Sealer {
    sealer_of(byte, Kind::Cache)
}

fn sealer_of(byte: u8, kind: Kind) -> Sealer {
    Sealer::new(Secret::fill(|key| *key = [byte; 32]).expect("a secret"), kind)
}

fn sealed_file() -> (tempfile::TempDir, std::path::PathBuf, Secret<32>) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("one");
    let secret = Secret::random().expect("random bytes");
    sealer(1).write(&path, b"what it is", &secret).expect("sealed");
    (dir, path, secret)
}

#[test]
fn what_is_sealed_opens() {
    let (_dir, path, secret) = sealed_file();
    let (description, opened) = sealer(1).read::<32>(&path).expect("opened");
    assert_eq!(description, b"what it is");
    assert!(opened.matches(&secret));
    assert_eq!(sealer(1).describe(&path).expect("described"), b"what it is");
    let file = std::fs::read(&path).expect("read");
    assert!(secret.expose(|secret| !file.windows(8).any(|window| window == &secret[..8])));
}

#[test]
fn no_altered_cut_or_foreign_file_opens() {
    let (_dir, path, _) = sealed_file();
    let good = std::fs::read(&path).expect("read");
    for at in 0..good.len() {
        let mut altered = good.clone();
        altered[at] ^= 1;
        std::fs::write(&path, altered).expect("written");
        assert!(sealer(1).read::<32>(&path).is_err(), "byte {at} altered");
        std::fs::write(&path, &good[..at]).expect("written");
        assert!(sealer(1).read::<32>(&path).is_err(), "cut at {at}");
    }
    std::fs::write(&path, [good.clone(), vec![0]].concat()).expect("written");
    assert!(matches!(sealer(1).read::<32>(&path), Err(SealError::Malformed)));
    std::fs::write(&path, good).expect("written");
    assert!(matches!(sealer(2).read::<32>(&path), Err(SealError::DoesNotOpen)));
}

#[test]
fn files_of_a_kind_begin_as_no_other_kind_and_no_data_of_users_does() {
    let (_dir, path, secret) = sealed_file();
    let of_users = rke_proto::seal::Sealer::new(&[1; 32], b"").header(&[1; 32]);
    assert!(of_users.starts_with(b"RKESEAL"));
    let kinds = [(Kind::Cache, &b"RKECACHE"[..]), (Kind::MasterSecret, b"RKEMASTER")];
    for (kind, magic) in kinds {
        sealer_of(1, kind).write(&path, b"what it is", &secret).expect("sealed");
        let file = fs::read(&path).expect("read");
        assert_eq!((&file[..magic.len()], file[magic.len()]), (magic, VERSION));
        assert!(!file.starts_with(b"RKESEAL") && !of_users.starts_with(magic));
        for (other, _) in kinds.into_iter().filter(|(other, _)| *other != kind) {
            let (opened, described) =
                (sealer_of(1, other).read::<32>(&path), sealer_of(1, other).describe(&path));
            assert!(matches!(opened, Err(SealError::Malformed)), "{kind:?} as {other:?}");
            assert!(matches!(described, Err(SealError::Malformed)), "{kind:?} as {other:?}");
        }
    }
}

#[test]
fn what_is_replaced_or_removed_is_overwritten() {
    let (dir, path, secret) = sealed_file();
    // A second name keeps the file reachable.
    for (at, take_away) in [true, false].into_iter().enumerate() {
        let kept = dir.path().join(format!("kept-{at}"));
        fs::hard_link(&path, &kept).expect("a link");
        match take_away {
            true => sealer(1).write(&path, b"another", &secret).expect("replaced"),
            false => Sealer::remove(&path).expect("removed"),
        }
        let bytes = fs::read(&kept).expect("read");
        assert!(bytes.len() > 60 && bytes.iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_derived_key_depends_on_the_master_key_and_the_purpose_alone() {
    let derive = |byte, purpose: &[u8]| sealer(byte).derive(purpose).expect("a secret");
    assert!(derive(1, b"a").matches(&derive(1, b"a")));
    assert!(!derive(1, b"a").matches(&derive(1, b"b")) && !derive(1, b"a").matches(&derive(2, b"a")));
}

#[test]
fn removing_twice_is_no_error() {
    let (_dir, path, _) = sealed_file();
    assert!(Sealer::remove(&path).is_ok() && Sealer::remove(&path).is_ok());
    assert!(!path.exists());
}
