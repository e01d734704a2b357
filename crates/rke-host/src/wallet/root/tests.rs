//! What the folder for wallets lets through, and what it says of the rest.

use std::fs;
use std::os::unix::fs::symlink;

use rke_proto::coin::{CoinId, CoinStatus, FileHeader, encode_coin_header};
use rke_proto::derive::ShareWidth;
use rke_proto::{Envelope, RaidaIndex};

use super::super::{Envelope1, WalletError, holds_coins, prove};
use super::*;

struct Place(tempfile::TempDir);

impl Place {
    /// A root with a wallet of one coin (1), and a wallet outside with another (2). `in` is another name of the root.
    fn new() -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        for (wallet, serial) in [("root/alice", 1), ("root-2/eve", 2)] {
            fs::create_dir_all(place.at(wallet).join("Bank")).expect("a folder");
            fs::write(place.at(wallet).join("Bank/coin.bin"), coin_file(serial)).expect("a coin");
        }
        symlink(place.at("root"), place.at("in")).expect("a link");
        place
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn link(&self, to: &str, name: &str) {
        symlink(to, self.at(name)).expect("a link");
    }

    fn root(&self) -> Arc<WalletRoot> {
        Arc::new(WalletRoot::open(&self.at("root")).expect("a root"))
    }

    /// The coins that a session gets to prove itself with.
    fn coins(&self, path: &str) -> Result<Vec<Envelope>, String> {
        let wallet = self.root().wallet(&self.at(path)).map_err(|Outside| "outside".to_owned())?;
        coins(&wallet)
    }
}

fn coin_file(serial: u32) -> Vec<u8> {
    let mut bytes = FileHeader::new(1, [CoinStatus::Passed; 25]).encode().to_vec();
    bytes.extend(encode_coin_header(CoinId { denomination: 0, serial }));
    bytes.extend([7; 25 * 16]);
    bytes
}

fn coins(wallet: &Wallet) -> Result<Vec<Envelope>, String> {
    let raidas = [RaidaIndex::all().next().expect("a RAIDA")];
    let proofs = prove(wallet, &raidas, ShareWidth::Wide, Envelope1::Refused, 1);
    let proofs = proofs.map_err(|error| match error {
        WalletError::Outside => "outside".to_owned(),
        error => error.to_string(),
    })?;
    Ok(proofs.iter().map(|proof| proof.envelope).collect())
}

fn alice() -> Result<Vec<Envelope>, String> {
    Ok(vec![Envelope::Type4(CoinId { denomination: 0, serial: 1 })])
}

fn outside() -> Result<Vec<Envelope>, String> {
    Err("outside".into())
}

#[test]
fn a_wallet_beneath_the_root_is_used_by_all_its_names() {
    let place = Place::new();
    place.link("alice", "root/relative");
    place.link(place.at("root/alice").to_str().expect("UTF-8"), "root/absolute");
    place.link("root/relative", "alias");
    for name in ["root/alice", "in/alice", "root/./alice/../alice", "root/relative", "root/absolute", "alias"]
    {
        assert_eq!(place.coins(name), alice(), "{name}");
    }
    let named_by_link = Arc::new(WalletRoot::open(&place.at("in")).expect("a root"));
    for name in ["root/alice", "in/alice", "alias"] {
        let wallet = named_by_link.wallet(&place.at(name)).expect("inside");
        assert_eq!(coins(&wallet), alice(), "{name}");
    }
}

#[test]
fn links_that_stay_beneath_the_root_work_down_to_the_coin_file() {
    let place = Place::new();
    let absolute = |name: &str| place.at(name).to_str().expect("UTF-8").to_owned();
    fs::create_dir_all(place.at("root/bob/Bank")).expect("a folder");
    for (to, name) in [
        ("../../alice/Bank/coin.bin".to_owned(), "root/bob/Bank/one.bin"),
        (absolute("root/alice/Bank"), "root/bob/Fracked"),
        (absolute("root/bob"), "root/bob-too"),
    ] {
        place.link(&to, name);
        assert_eq!(place.coins("root/bob"), alice(), "{name}");
    }
    assert_eq!(place.coins("root/bob-too"), alice());
    fs::remove_file(place.at("root/bob/Bank/one.bin")).expect("removed");
    assert_eq!(place.coins("root/bob"), alice(), "by an absolute link");
}

#[test]
fn a_path_that_leads_out_is_refused_whatever_is_there() {
    let place = Place::new();
    place.link("../root-2/eve", "root/out");
    place.link(place.at("root-2/eve").to_str().expect("UTF-8"), "root/out-absolute");
    place.link("../nowhere", "root/dangling");
    place.link("/proc/self/root", "root/magic");
    for name in [
        "",
        "root-2",
        "root-2/eve",
        "root-2/missing",
        "missing",
        "root/..",
        "root/../root-2/eve",
        "root/out",
        "root/out/missing",
        "root/out/../../root/alice",
        "root/out-absolute",
        "root/dangling",
        "root/magic",
        "root/alice/../../missing",
        "in/../root/alice",
        "root-2/../root/alice",
    ] {
        assert_eq!(place.coins(name), outside(), "{name}");
    }
    assert!(place.coins("root/missing").is_err_and(|error| error.contains("cannot open")));
}

#[test]
fn a_coin_folder_that_leads_out_is_refused_and_nothing_is_said_of_what_is_there() {
    let place = Place::new();
    fs::create_dir(place.at("root/bob")).expect("a folder");
    for to in
        ["../../root-2/eve/Bank", "../../nowhere", "../../root-2/eve/Bank/coin.bin", "/etc", "/dev/null"]
    {
        place.link(to, "root/bob/Bank");
        assert_eq!(place.coins("root/bob"), outside(), "{to}");
        let wallet = place.root().wallet(&place.at("root/bob")).expect("inside");
        assert!(matches!(holds_coins(&wallet, &[]), Ok(true)));
        let eves = CoinId { denomination: 0, serial: 2 };
        assert!(matches!(holds_coins(&wallet, &[eves]), Err(WalletError::Outside)), "{to}");
        fs::remove_file(place.at("root/bob/Bank")).expect("removed");
    }
}

#[test]
fn a_coin_file_that_leads_out_is_not_used_and_nothing_is_said_of_what_is_there() {
    let place = Place::new();
    fs::create_dir_all(place.at("root/bob/Bank")).expect("a folder");
    let mut said = Vec::new();
    for to in
        ["../../../root-2/eve/Bank/coin.bin", "../../../nowhere", "/etc/passwd", "/etc/shadow", "/dev/zero"]
    {
        place.link(to, "root/bob/Bank/one.bin");
        said.push(place.coins("root/bob").expect_err("no coin"));
        fs::remove_file(place.at("root/bob/Bank/one.bin")).expect("removed");
    }
    assert!(said[0].contains("one.bin: it leads out of the folder that --wallet-root names"), "{said:?}");
    assert!(said.iter().all(|text| *text == said[0]), "{said:?}");
}

#[test]
fn what_is_put_in_the_way_after_the_path_was_judged_is_found_when_it_is_opened() {
    let place = Place::new();
    let wallet = place.root().wallet(&place.at("root/alice")).expect("inside");
    assert_eq!(coins(&wallet), alice());
    fs::remove_dir_all(place.at("root/alice/Bank")).expect("removed");
    place.link("../../root-2/eve/Bank", "root/alice/Bank");
    assert_eq!(coins(&wallet), outside());
    fs::remove_dir_all(place.at("root/alice")).expect("removed");
    place.link("../root-2/eve", "root/alice");
    assert_eq!(coins(&wallet), outside());
}

#[test]
fn links_without_an_end_are_no_way_in() {
    let place = Place::new();
    place.link(place.at("root/round").to_str().expect("UTF-8"), "root/round");
    place.link("circle", "root/circle");
    for name in ["root/round", "root/circle"] {
        assert!(place.coins(name).is_err_and(|error| error.contains("cannot open")), "{name}");
    }
}

#[test]
fn a_pipe_and_a_huge_file_are_refused_without_being_read() {
    let place = Place::new();
    let bank = place.at("root/alice/Bank");
    fs::remove_file(bank.join("coin.bin")).expect("removed");
    let huge = fs::File::create(bank.join("huge.bin")).expect("a file");
    huge.set_len(1 << 40).expect("sparse");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        bank.join("pipe.bin"),
        rustix::fs::FileType::Fifo,
        Mode::RUSR | Mode::WUSR,
        0,
    )
    .expect("a pipe");
    let error = place.coins("root/alice").expect_err("no coin");
    assert!(error.contains("pipe.bin: it is not a regular file") && error.contains("huge.bin"), "{error}");
}

#[test]
fn the_root_must_be_a_folder() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    assert!(WalletRoot::open(file.path()).is_err());
    assert!(WalletRoot::open(Path::new("/nowhere/at/all")).is_err());
}

#[test]
fn a_system_that_cannot_confine_is_refused_and_says_why() {
    for errno in [Errno::NOSYS, Errno::PERM] {
        let error = cannot_confine(errno);
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(error.to_string().contains("openat2") && error.to_string().contains("Linux 5.6"));
    }
    assert_eq!(cannot_confine(Errno::ACCESS).kind(), io::ErrorKind::PermissionDenied);
}
