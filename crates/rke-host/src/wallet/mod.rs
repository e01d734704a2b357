//! Wallets: finds coin files, chooses for each RAIDA the coins that prove the user there, and reads
//! their ANs straight into secrets. `docs/protocol.md` section 2. A wallet is never written to.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rke_proto::coin::{AN_LEN, CoinId, CoinStatus};
use rke_proto::derive::ShareWidth;
use rke_proto::{Envelope, EnvelopeKey, RAIDA_COUNT, RaidaIndex};
use rke_secret::{Secret, SecretError, scoped};

mod coin_file;
pub mod examine;
mod place;
mod root;

pub use self::coin_file::{CoinFile, CoinFileReadError, is_zeros};
pub use self::place::Wallet;
pub use self::root::{Outside, WalletRoot};

/// The folders of a wallet whose coins may be used, in order of preference.
const COIN_FOLDERS: [&str; 2] = ["Bank", "Fracked"];

/// Why a wallet cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WalletError {
    /// The path does not start at the root.
    #[error("the wallet path {0} must be absolute")]
    NotAbsolute(PathBuf),
    /// The wallet, or one of its coin folders, is outside the folder for wallets.
    #[error("it leads out of the folder that --wallet-root names")]
    Outside,
    /// It does not exist, or cannot be read.
    #[error("cannot open the wallet folder {path}: {source}{}", hint_of_private_tmp(.path, .source))]
    Unreadable {
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It is a file.
    #[error("the wallet path {0} is not a folder")]
    NotAFolder(PathBuf),
    /// No coin files at all.
    #[error("the wallet {0} is empty: no .bin files in its Bank and Fracked folders")]
    Empty(PathBuf),
    /// Coin files, but not enough usable coins.
    #[error("the wallet has a usable coin for only {usable} of {required} required RAIDAs{}", join_skipped(.skipped))]
    TooFewCoins {
        /// RAIDAs with a usable coin.
        usable: usize,
        /// RAIDAs that are required.
        required: usize,
        /// Files that could not be used, by name, and why.
        skipped: Vec<String>,
    },
    /// There is no secret memory left to read the coins into.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// A folder that the client sees and the daemon does not.
fn hint_of_private_tmp(path: &Path, source: &io::Error) -> &'static str {
    let is_temporary = ["/tmp", "/var/tmp"].iter().any(|folder| path.starts_with(folder));
    match source.kind() {
        io::ErrorKind::NotFound if is_temporary => {
            "; a daemon that runs as a service may have a /tmp of its own (PrivateTmp=yes): put the wallet into another folder"
        }
        _ => "",
    }
}

fn join_skipped(skipped: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = String::new();
    for (at, reason) in skipped.iter().take(SHOWN).enumerate() {
        text += if at == 0 { "; not used: " } else { ", " };
        text += reason;
    }
    match skipped.len().checked_sub(SHOWN + 1) {
        Some(more) => text + &format!(" and {} more", more + 1),
        None => text,
    }
}

/// The proof of the user's identity to one RAIDA.
pub struct Proof {
    pub raida: RaidaIndex,
    /// The envelope, with the coins.
    pub envelope: Envelope,
    /// The envelope's key, from the coins' ANs.
    pub key: EnvelopeKey,
    /// For envelope 5, envelope 4 with the first of the coins: some servers' responses in envelope 5 do not open. For
    /// envelope 4, envelope 1 if it is allowed: some servers know no other.
    pub fallback: Option<(Envelope, EnvelopeKey)>,
}

/// Whether narrow shares may travel in envelope 1. `docs/protocol.md` section 4.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Envelope1 {
    /// They travel in envelope 4.
    #[default]
    Refused,
    /// They travel in envelope 1, whose responses can give the coin's AN away, with RAIDAs that give none in envelope 4.
    Allowed,
}

/// Chooses a proof for each of `raidas`: for wide shares envelope 5 if two coins are usable there, envelope 4
/// if one is; for narrow ones envelope 4, with 1 as the fallback if that is allowed. RAIDAs without a usable
/// coin are left out. Blocks on the file system.
///
/// # Errors
/// [`WalletError`], also if the proofs are fewer than `required`.
pub fn prove(
    wallet: &Wallet,
    raidas: &[RaidaIndex],
    width: ShareWidth,
    envelope_1: Envelope1,
    required: usize,
) -> Result<Vec<Proof>, WalletError> {
    wallet.check()?;
    let envelope = wanted_envelope(width, envelope_1);
    let coins_each = match envelope {
        Wanted::Type4 | Wanted::Type4Or1 => 1,
        Wanted::Type5 => 2,
    };
    let mut found = Found { coins: std::array::from_fn(|_| Vec::new()), skipped: Vec::new() };
    let mut files = 0;
    for file in wallet.coin_files() {
        files += 1;
        found.take_from(wallet, &file?, raidas, coins_each);
        if raidas.iter().all(|raida| found.coins[raida.position()].len() == coins_each) {
            break;
        }
    }
    if files == 0 {
        return Err(WalletError::Empty(wallet.path()));
    }
    let coins = |raida: RaidaIndex| found.coins[raida.position()].as_slice();
    let proofs = raidas.iter().filter_map(|raida| proof(*raida, coins(*raida), envelope).transpose());
    let mut proofs: Vec<Proof> = proofs.collect::<Result<_, _>>()?;
    // All keys in one scope, because a scope costs as much as deriving a key.
    scoped(|| proofs.iter_mut().for_each(|proof| proof.derive_keys(coins(proof.raida))))?;
    if proofs.len() < required {
        return Err(WalletError::TooFewCoins { usable: proofs.len(), required, skipped: found.skipped });
    }
    Ok(proofs)
}

/// The envelope that a proof is made for.
#[derive(Clone, Copy)]
enum Wanted {
    Type4,
    /// Type 4, with type 1 to fall back to.
    Type4Or1,
    /// Type 4 if only one coin is usable.
    Type5,
}

fn wanted_envelope(width: ShareWidth, envelope_1: Envelope1) -> Wanted {
    match (width, envelope_1) {
        (ShareWidth::Narrow, Envelope1::Allowed) => Wanted::Type4Or1,
        (ShareWidth::Narrow, Envelope1::Refused) => Wanted::Type4,
        (ShareWidth::Wide, _) => Wanted::Type5,
    }
}

/// The coins that are usable at a RAIDA, each with its AN there.
type Coins = [(CoinId, Secret<AN_LEN>)];

/// The proof by these coins, without its keys.
fn proof(raida: RaidaIndex, coins: &Coins, wanted: Wanted) -> Result<Option<Proof>, SecretError> {
    let (envelope, fallback) = match (coins, wanted) {
        ([], _) => return Ok(None),
        ([(first, _), ..], Wanted::Type4Or1) => (Envelope::Type4(*first), Some(Envelope::Type1(*first))),
        ([(first, _), (second, _), ..], Wanted::Type5) => {
            (Envelope::Type5(*first, *second), Some(Envelope::Type4(*first)))
        }
        ([(first, _), ..], Wanted::Type4 | Wanted::Type5) => (Envelope::Type4(*first), None),
    };
    let with_key = |envelope| EnvelopeKey::zeros(envelope).map(|key| (envelope, key));
    let fallback = fallback.map(with_key).transpose()?;
    Ok(Some(Proof { raida, envelope, key: EnvelopeKey::zeros(envelope)?, fallback }))
}

impl Proof {
    fn derive_keys(&mut self, coins: &Coins) {
        let fallback = self.fallback.iter_mut().map(|(envelope, key)| (*envelope, key));
        for (envelope, key) in fallback.chain([(self.envelope, &mut self.key)]) {
            let ans = coins.iter().take(envelope.coins().count()).map(|(_, an)| an);
            key.derive(&ans.collect::<Vec<_>>());
        }
    }
}

/// Whether all of these coins are in the wallet, each in a readable file and usable at one RAIDA
/// at least. Reads no AN. Blocks on the file system.
///
/// # Errors
/// [`WalletError`], if the wallet cannot be opened.
pub fn holds_coins(wallet: &Wallet, coins: &[CoinId]) -> Result<bool, WalletError> {
    wallet.check()?;
    let mut missing: Vec<CoinId> = coins.to_vec();
    for file in wallet.coin_files() {
        if missing.is_empty() {
            break;
        }
        // An unreadable file holds no coins; an exchange would report why.
        let found = wallet.open_coin_file(&file?).and_then(|file| file.usable_coins()).unwrap_or_default();
        missing.retain(|coin| !found.contains(coin));
    }
    Ok(missing.is_empty())
}

/// The coins found so far: for each RAIDA the usable ones, with their ANs there.
struct Found {
    coins: [Vec<(CoinId, Secret<AN_LEN>)>; RAIDA_COUNT],
    skipped: Vec<String>,
}

impl Found {
    fn take_from(&mut self, wallet: &Wallet, file: &Path, raidas: &[RaidaIndex], coins_each: usize) {
        let taken =
            wallet.open_coin_file(file).and_then(|file| self.try_take_from(&file, raidas, coins_each));
        if let Err(error) = taken {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            self.skipped.push(format!("{}: {error}", name.escape_debug()));
        }
    }

    fn try_take_from(
        &mut self,
        file: &CoinFile,
        raidas: &[RaidaIndex],
        coins_each: usize,
    ) -> Result<(), CoinFileReadError> {
        let passed = raidas.iter().filter(|raida| file.header.status(**raida) == CoinStatus::Passed);
        let mut wanting: Vec<RaidaIndex> = passed.copied().collect();
        for at in 0..file.header.coins() {
            wanting.retain(|raida| self.coins[raida.position()].len() < coins_each);
            if wanting.is_empty() {
                break;
            }
            let (id, ans) = file.coin(at, &wanting)?;
            for (raida, an) in wanting.iter().zip(ans) {
                let known = &mut self.coins[raida.position()];
                if known.iter().all(|(known, _)| *known != id) {
                    known.push((id, an));
                }
            }
        }
        Ok(())
    }
}

/// The `.bin` files of a folder, by name. A folder that is missing or unreadable has none.
pub fn coin_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| is_coin_file(path)).collect();
    files.sort();
    files
}

/// The `.bin` files of a folder and of its Bank and Fracked folders.
pub fn all_coin_files(folder: &Path) -> Vec<PathBuf> {
    let inner = COIN_FOLDERS.iter().flat_map(|name| coin_files(&folder.join(name)));
    coin_files(folder).into_iter().chain(inner).collect()
}

fn is_coin_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("bin"))
}

#[cfg(test)]
mod tests;
