use std::os::unix::fs::symlink;

use rke_proto::coin::{FileHeader, encode_coin_header};

use super::*;

const ALL: [CoinStatus; 25] = [CoinStatus::Passed; 25];

fn raidas() -> Vec<RaidaIndex> {
    RaidaIndex::all().collect()
}

fn wallet() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    COIN_FOLDERS.iter().for_each(|name| fs::create_dir(dir.path().join(name)).expect("a folder"));
    dir
}

fn coin_file(statuses: [CoinStatus; 25], serials: &[u32]) -> Vec<u8> {
    let mut bytes = FileHeader::new(serials.len() as u16, statuses).encode().to_vec();
    for serial in serials {
        bytes.extend(encode_coin_header(CoinId { denomination: 0, serial: *serial }));
        bytes.extend((0..25 * 16).map(|at| (serial + at / 16) as u8));
    }
    bytes
}

fn put(wallet: &tempfile::TempDir, name: &str, bytes: &[u8]) {
    fs::write(wallet.path().join(name), bytes).expect("written");
}

fn envelopes(wallet: &tempfile::TempDir, width: ShareWidth) -> Vec<Envelope> {
    envelopes_with(wallet, width, Envelope1::Refused)
}

fn envelopes_with(wallet: &tempfile::TempDir, width: ShareWidth, envelope_1: Envelope1) -> Vec<Envelope> {
    let proofs = prove(&Wallet::at(wallet.path()), &raidas(), width, envelope_1, 13).expect("proofs");
    proofs.into_iter().map(|proof| proof.envelope).collect()
}

fn id(serial: u32) -> CoinId {
    CoinId { denomination: 0, serial }
}

#[test]
fn two_coins_make_envelope_5_and_one_makes_4() {
    let wallet = wallet();
    put(&wallet, "Bank/one.bin", &coin_file(ALL, &[1]));
    assert_eq!(envelopes(&wallet, ShareWidth::Wide), [Envelope::Type4(id(1)); 25]);
    assert_eq!(envelopes(&wallet, ShareWidth::Narrow), [Envelope::Type4(id(1)); 25]);
    put(&wallet, "Fracked/a.bin", &coin_file(ALL, &[2]));
    assert_eq!(envelopes(&wallet, ShareWidth::Wide), [Envelope::Type5(id(1), id(2)); 25]);
    put(&wallet, "Bank/two.BIN", &coin_file(ALL, &[3]));
    assert_eq!(envelopes(&wallet, ShareWidth::Wide), [Envelope::Type5(id(1), id(3)); 25]);
}

#[test]
fn narrow_shares_are_asked_for_with_one_coin_and_in_envelope_1_only_where_that_is_allowed() {
    let wallet = wallet();
    put(&wallet, "Bank/two.bin", &coin_file(ALL, &[1, 2]));
    let in_envelope = |allowed| envelopes_with(&wallet, ShareWidth::Narrow, allowed);
    assert_eq!(in_envelope(Envelope1::default()), [Envelope::Type4(id(1)); 25]);
    assert_eq!(in_envelope(Envelope1::Allowed), [Envelope::Type4(id(1)); 25]);
    for (allowed, fallback) in
        [(Envelope1::Refused, None), (Envelope1::Allowed, Some(Envelope::Type1(id(1))))]
    {
        let proofs = prove(&Wallet::at(wallet.path()), &raidas(), ShareWidth::Narrow, allowed, 13);
        let fallbacks =
            proofs.expect("proofs").into_iter().map(|proof| proof.fallback.map(|(other, _)| other));
        assert_eq!(fallbacks.collect::<Vec<_>>(), [fallback; 25], "{allowed:?}");
    }
    let wide = envelopes_with(&wallet, ShareWidth::Wide, Envelope1::Allowed);
    assert_eq!(wide, [Envelope::Type5(id(1), id(2)); 25]);
}

#[test]
fn a_wallet_holds_the_coins_of_its_readable_files_that_are_of_use_somewhere() {
    let wallet = wallet();
    let holds = |serials: &[u32]| {
        let coins: Vec<CoinId> = serials.iter().copied().map(id).collect();
        holds_coins(&Wallet::at(wallet.path()), &coins).expect("a wallet")
    };
    let mut one = [CoinStatus::Unusable; 25];
    put(&wallet, "Bank/useless.bin", &coin_file(one, &[1]));
    one[24] = CoinStatus::Passed;
    put(&wallet, "Bank/two.bin", &coin_file(ALL, &[2, 3]));
    put(&wallet, "Fracked/one.bin", &coin_file(one, &[4]));
    put(&wallet, "Fracked/cut.bin", &coin_file(ALL, &[5])[..400]);
    assert!(holds(&[]) && holds(&[2]) && holds(&[3, 2]) && holds(&[4, 2]));
    for missing in [&[1][..], &[5], &[6], &[2, 6], &[2, 1]] {
        assert!(!holds(missing), "{missing:?}");
    }
    let other = CoinId { denomination: 1, serial: 2 };
    assert!(
        !holds_coins(&Wallet::at(wallet.path()), &[other]).expect("a wallet"),
        "another denomination is another coin"
    );
    assert!(matches!(holds_coins(&Wallet::at("relative"), &[]), Err(WalletError::NotAbsolute(_))));
    let gone = holds_coins(&Wallet::at(wallet.path().join("gone")), &[id(2)]);
    assert!(matches!(gone, Err(WalletError::Unreadable { .. })));
}

#[test]
fn the_same_coin_twice_is_one_coin() {
    let wallet = wallet();
    put(&wallet, "Bank/one.bin", &coin_file(ALL, &[1]));
    put(&wallet, "Fracked/copy.bin", &coin_file(ALL, &[1]));
    assert_eq!(envelopes(&wallet, ShareWidth::Wide), [Envelope::Type4(id(1)); 25]);
}

#[test]
fn each_raida_gets_the_coins_that_it_knows() {
    let wallet = wallet();
    let mut fails_at_7 = ALL;
    fails_at_7[7] = CoinStatus::Unusable;
    put(&wallet, "Bank/one.bin", &coin_file(fails_at_7, &[1]));
    put(&wallet, "Fracked/two.bin", &coin_file(ALL, &[2]));
    let envelopes = envelopes(&wallet, ShareWidth::Wide);
    assert_eq!(envelopes[7], Envelope::Type4(id(2)));
    assert_eq!(envelopes[8], Envelope::Type5(id(1), id(2)));
}

#[test]
fn a_file_of_several_coins_serves_everywhere() {
    let wallet = wallet();
    put(&wallet, "Bank/many.bin", &coin_file(ALL, &[5, 6, 7]));
    assert_eq!(envelopes(&wallet, ShareWidth::Wide), [Envelope::Type5(id(5), id(6)); 25]);
}

#[test]
fn the_an_of_each_raida_is_read_from_its_place() {
    let wallet = wallet();
    put(&wallet, "Bank/many.bin", &coin_file(ALL, &[5, 60]));
    let file = CoinFile::open(&wallet.path().join("Bank/many.bin")).expect("a coin file");
    for raida in raidas() {
        let an = file.an(1, raida).expect("an AN");
        assert!(an.expose(|an| *an == [60 + raida.get(); 16]));
    }
}

#[test]
fn too_few_coins_are_counted_and_the_unusable_files_named() {
    let wallet = wallet();
    let mut twelve = [CoinStatus::Unusable; 25];
    twelve[..12].fill(CoinStatus::Passed);
    put(&wallet, "Bank/half.bin", &coin_file(twelve, &[1]));
    let mut encrypted = coin_file(ALL, &[2]);
    encrypted[5] = 4;
    put(&wallet, "Bank/locked.bin", &encrypted);
    put(&wallet, "Bank/cut.bin", &coin_file(ALL, &[3])[..400]);
    put(&wallet, "Fracked/garbage.bin", b"not a coin");
    symlink("/dev/zero", wallet.path().join("Fracked/device.bin")).expect("a link");
    let error = prove(&Wallet::at(wallet.path()), &raidas(), ShareWidth::Wide, Envelope1::Refused, 13)
        .err()
        .expect("an error")
        .to_string();
    assert!(error.contains("only 12 of 13"), "{error}");
    for part in ["locked.bin: it is encrypted with a password", "cut.bin", "garbage.bin", "device.bin"] {
        assert!(error.contains(part), "{part} in {error}");
    }
}

#[test]
fn no_cut_of_a_coin_file_is_used() {
    let wallet = wallet();
    let whole = coin_file(ALL, &[1]);
    for len in 0..whole.len() {
        put(&wallet, "Bank/one.bin", &whole[..len]);
        assert!(CoinFile::open(&wallet.path().join("Bank/one.bin")).is_err(), "cut at {len}");
    }
}

#[test]
fn each_wrong_path_has_its_own_error() {
    let wallet = wallet();
    let prove = |path: &Path| {
        prove(&Wallet::at(path), &raidas(), ShareWidth::Wide, Envelope1::Refused, 13).err().expect("an error")
    };
    assert!(matches!(prove(Path::new("relative")), WalletError::NotAbsolute(_)));
    assert!(matches!(prove(&wallet.path().join("missing")), WalletError::Unreadable { .. }));
    assert!(matches!(prove(wallet.path()), WalletError::Empty(_)));
    put(&wallet, "file", b"");
    assert!(matches!(prove(&wallet.path().join("file")), WalletError::NotAFolder(_)));
}

#[test]
fn a_missing_wallet_in_tmp_may_be_missing_for_the_daemon_only() {
    let says = |path: &str| holds_coins(&Wallet::at(path), &[]).expect_err("an error").to_string();
    for (path, is_temporary) in [
        ("/tmp/no/wallet", true),
        ("/var/tmp/no-wallet", true),
        ("/nowhere", false),
        ("/tmpfs/wallet", false),
    ] {
        assert_eq!(says(path).contains("PrivateTmp=yes"), is_temporary, "{}", says(path));
    }
}

#[test]
fn a_look_counts_what_can_be_used_where_and_names_what_cannot() {
    let wallet = wallet();
    assert!(matches!(examine::examine(wallet.path()), Err(WalletError::Empty(_))));
    let mut some = ALL;
    some[7] = CoinStatus::Unusable;
    put(&wallet, "Bank/a.bin", &coin_file(ALL, &[1, 2]));
    put(&wallet, "Fracked/b.bin", &coin_file(some, &[3]));
    put(&wallet, "Bank/c.bin", b"no coin");
    let mode = |name: &str, mode| {
        let permissions = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(mode);
        fs::set_permissions(wallet.path().join(name), permissions).expect("a mode");
    };
    mode("", 0o700);
    mode("Bank/a.bin", 0o600);
    mode("Bank/c.bin", 0o600);
    mode("Fracked/b.bin", 0o640);
    mode("Fracked", 0o750);
    assert_eq!(examine::examine(wallet.path()).expect("a look").exposed, [] as [PathBuf; 0]);
    mode("", 0o750);
    let contents = examine::examine(wallet.path()).expect("a look");
    let usable = |raida: usize| contents.usable[raida].len();
    assert_eq!((contents.files, usable(0), usable(7)), (2, 3, 2));
    assert_eq!(contents.repeated, []);
    assert!(contents.unusable.len() == 1 && contents.unusable[0].starts_with("c.bin: "));
    assert_eq!(contents.exposed, [wallet.path().join("Fracked/b.bin")]);
}

#[test]
fn a_look_counts_a_coin_that_is_there_twice_once() {
    let wallet = wallet();
    put(&wallet, "Bank/a.bin", &coin_file(ALL, &[1]));
    put(&wallet, "Bank/b.bin", &coin_file(ALL, &[1, 2, 2]));
    put(&wallet, "Fracked/c.bin", &coin_file(ALL, &[1]));
    let contents = examine::examine(wallet.path()).expect("a look");
    assert_eq!((contents.files, contents.usable[0].len()), (3, 2));
    assert_eq!(contents.repeated, [id(1), id(2)]);
}
