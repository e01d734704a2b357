use std::os::unix::fs::PermissionsExt;

use rke_host::wallet::{Wallet, WalletError, prove};
use rke_proto::derive::ShareWidth;

use super::*;
use crate::mint::{make_wallet, mint};

const COIN: CoinId = CoinId { denomination: -1, serial: 7 };
const OTHER: CoinId = CoinId { denomination: 0, serial: 8 };

fn stage(coins: &[CoinId]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("whole.bin");
    mint(&file, coins, [CoinStatus::Passed; RAIDA_COUNT]).expect("coins");
    (dir, file)
}

/// The names of the files in the folders of all RAIDAs.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let folders = RaidaIndex::all().filter_map(|raida| fs::read_dir(folder_of(raida, folder)).ok());
    folders.flatten().map(|entry| entry.expect("an entry").path()).collect()
}

#[test]
fn each_file_has_one_an_and_says_so() {
    let (dir, whole) = stage(&[COIN, OTHER]);
    assert_eq!(split(std::slice::from_ref(&whole), dir.path()).expect("split"), 2);
    let whole = CoinFile::open(&whole).expect("a coin file");
    for raida in RaidaIndex::all() {
        for (at, coin) in [COIN, OTHER].into_iter().enumerate() {
            let path = folder_of(raida, dir.path()).join(file_name(coin));
            let own = CoinFile::open(&path).expect("a coin file");
            assert_eq!((own.coins(), own.coin_id(0).expect("a name"), own.usable_at()), (1, coin, 1));
            assert_eq!(own.raidas_with_an(0).expect("ANs"), [raida].into_iter().collect());
            let an = own.an(0, raida).expect("an AN");
            assert!(an.matches(&whole.an(at as u16, raida).expect("an AN")));
            assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
        }
    }
    assert_eq!(files_in(dir.path()).len(), 50, "and nothing else is left");
}

#[test]
fn the_bytes_are_those_of_the_documentation() {
    let (dir, whole) = stage(&[COIN]);
    split(std::slice::from_ref(&whole), dir.path()).expect("split");
    let own = RaidaIndex::new(7).expect("RAIDA 7");
    let bytes = fs::read(folder_of(own, dir.path()).join(file_name(COIN))).expect("read");
    let mut expected = hex::decode("09000006000000010000000000000000").expect("hex");
    expected.extend(hex::decode("fffffffafffffffffffffffff0000000").expect("hex"));
    expected.extend(hex::decode("0000ff00000007").expect("hex"));
    expected.resize(439, 0);
    let an = 39 + 7 * AN_LEN..39 + 8 * AN_LEN;
    expected[an.clone()].copy_from_slice(&fs::read(&whole).expect("read")[an]);
    assert_eq!(bytes, expected);
}

#[test]
fn no_wallet_takes_such_a_file_for_a_coin() {
    let (dir, whole) = stage(&[COIN]);
    split(&[whole], dir.path()).expect("split");
    let wallet = dir.path().join("wallet");
    make_wallet(&wallet).expect("a wallet");
    let own = RaidaIndex::new(7).expect("RAIDA 7");
    fs::rename(folder_of(own, dir.path()).join(file_name(COIN)), wallet.join("Bank/coin.bin"))
        .expect("moved");
    let raidas: Vec<RaidaIndex> = RaidaIndex::all().collect();
    let proofs = prove(&Wallet::at(wallet), &raidas, ShareWidth::Wide, Default::default(), 13);
    let error = proofs.err().expect("no proofs");
    assert!(matches!(error, WalletError::TooFewCoins { usable: 1, required: 13, .. }), "{error}");
}

#[test]
fn what_has_been_split_is_not_split_again() {
    let (dir, whole) = stage(&[COIN]);
    split(&[whole], dir.path()).expect("split");
    let own = folder_of(RaidaIndex::new(7).expect("RAIDA 7"), dir.path()).join(file_name(COIN));
    let error = split(&[own], &dir.path().join("again")).expect_err("one AN");
    assert!(error.to_string().contains("has the ANs of 1 of 25 RAIDAs"), "{error}");
    assert!(files_in(&dir.path().join("again")).is_empty());
}

#[test]
fn nothing_is_overwritten_and_nothing_is_left_of_what_fails() {
    let (dir, whole) = stage(&[COIN]);
    let other = dir.path().join("other.bin");
    mint(&other, &[OTHER], [CoinStatus::Passed; RAIDA_COUNT]).expect("a coin");
    let last = folder_of(RaidaIndex::new(24).expect("RAIDA 24"), dir.path());
    make_folder(&last).expect("a folder");
    fs::write(last.join(file_name(OTHER)), "precious").expect("written");
    let error = split(&[whole.clone(), other.clone()], dir.path()).expect_err("it exists");
    assert!(matches!(&error, SplitError::Exists(path) if path.starts_with(&last)), "{error}");
    assert_eq!(files_in(dir.path()), [last.join(file_name(OTHER))]);
    assert_eq!(fs::read(last.join(file_name(OTHER))).expect("read"), b"precious");

    // The last folder cannot be made.
    fs::remove_dir_all(&last).expect("removed");
    fs::write(&last, "a file").expect("written");
    let error = split(&[whole, other], dir.path()).expect_err("not a folder");
    assert!(matches!(&error, SplitError::Write { path, .. } if *path == last), "{error}");
    assert!(files_in(dir.path()).is_empty());
}

#[test]
fn a_coin_that_is_there_twice_is_refused() {
    let (dir, whole) = stage(&[COIN, COIN]);
    assert!(matches!(split(&[whole], dir.path()), Err(SplitError::Twice(COIN))));
    let missing = split(&[dir.path().join("missing.bin")], dir.path()).expect_err("a missing file");
    assert!(missing.to_string().contains("missing.bin"), "{missing}");
}
