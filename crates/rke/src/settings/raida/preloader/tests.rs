use std::path::Path;

use rke_proto::coin::{CoinId, CoinStatus, FileHeader, encode_coin_header};
use rke_raida::owners::Preloaders;

use super::*;

const COIN: CoinId = CoinId { denomination: -3, serial: 7 };

/// Which of two IDs the coin may preload.
fn may(text: &str) -> Result<[bool; 2]> {
    let named: NamedPreloader = text.parse().map_err(anyhow::Error::msg)?;
    let all: Preloaders = [named.find()?].into_iter().collect();
    Ok(["SHOP", "OTHER"].map(|id| all.permit(COIN, &ContentServerId::new(id).expect("an ID"))))
}

/// A file with coins whose ANs are zeros: only names are read.
fn coin_file(path: &Path, coins: u16) {
    let mut bytes = FileHeader::new(coins, [CoinStatus::Failed; 25]).encode().to_vec();
    for _ in 0..coins {
        bytes.extend(encode_coin_header(COIN));
        bytes.extend([0; 400]);
    }
    std::fs::write(path, bytes).expect("written");
}

#[test]
fn a_coin_is_named_by_its_number_or_by_a_file_that_has_it() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["coin_-3_7.bin", "without-extension"] {
        let path = dir.path().join(name);
        coin_file(&path, 1);
        for coin in ["-3:7", path.to_str().expect("text")] {
            assert_eq!(may(coin).expect("a preloader"), [true, true], "{coin}");
            assert_eq!(may(&format!("{coin}=*")).expect("a preloader"), [true, true], "{coin}");
            assert_eq!(may(&format!("{coin}=SHOP+SECOND")).expect("a preloader"), [true, false], "{coin}");
        }
    }
}

#[test]
fn what_names_no_coin_is_refused_with_the_reason() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    coin_file(Path::new(&path("two.bin")), 2);
    std::fs::write(path("text.bin"), "not a coin").expect("written");
    for (text, reason) in [
        ("42", "DENOMINATION:SERIAL"),
        ("42", "or is the path of a coin file"),
        ("coin", "./coin.bin"),
        ("0:42=", "is not a Content Server ID"),
        (&path("missing.bin"), "missing.bin"),
        (&path("text.bin"), "shorter than a coin file's header"),
        (&path("two.bin"), "it has 2 coins; name one of them"),
        (&format!("{}=A+", path("two.bin")), "is not a Content Server ID"),
        ("coin.BIN", "coin.BIN"),
    ] {
        let error = may(text).expect_err("not a preloader");
        assert!(format!("{error:#}").contains(reason), "{text}: {error:#}");
    }
}
