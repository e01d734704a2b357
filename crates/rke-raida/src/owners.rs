//! Who may preload which Content Server ID at a node, and whose each is: what the operator says, and the records in
//! which the node keeps it next to the key sets. `docs/protocol.md` section 5.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rke_host::data_dir::{self, DataDir, DataDirError, Role, Sharing};
use rke_host::durable::write_atomically;
use rke_host::own_file::read_own;
use rke_host::sealed::Sealer;
use rke_proto::coin::CoinId;
use rke_proto::{ContentServerId, KeySetId};
use serde::{Deserialize, Serialize};

/// The folder of a node's data directory that has the records and the sealed master secrets.
pub(crate) const FOLDER: &str = "key-sets";

const RECORD: &str = "json";

/// A coin that may preload, and for which Content Server IDs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preloader {
    coin: CoinId,
    /// `None`: any that no other coin owns or is named for.
    cs_ids: Option<Vec<ContentServerId>>,
}

impl Preloader {
    /// A coin that may preload any free Content Server ID.
    pub fn of_any(coin: CoinId) -> Self {
        Self { coin, cs_ids: None }
    }

    /// A coin that may preload these Content Server IDs, which are not free for others then.
    pub fn of(coin: CoinId, cs_ids: Vec<ContentServerId>) -> Self {
        Self { coin, cs_ids: Some(cs_ids) }
    }

    fn names(&self, cs_id: &ContentServerId) -> bool {
        self.cs_ids.as_ref().is_some_and(|own| own.contains(cs_id))
    }
}

impl FromStr for Preloader {
    type Err = String;

    /// `COIN`, `COIN=*` or `COIN=ID+ID…`, as in `0:42=SHOP+SHOP-TEST`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (coin, ids) = text.split_once('=').map_or((text, None), |(coin, ids)| (coin, Some(ids)));
        let coin = coin.parse().map_err(str::to_owned)?;
        let Some(ids) = ids.filter(|ids| *ids != "*") else { return Ok(Self::of_any(coin)) };
        let parse = |id| ContentServerId::new(id).ok_or_else(|| format!("{id:?} is not a Content Server ID"));
        Ok(Self { coin, cs_ids: Some(ids.split('+').map(parse).collect::<Result<_, _>>()?) })
    }
}

/// All coins that may preload at a node.
#[derive(Debug, Clone, Default)]
pub struct Preloaders(Vec<Preloader>);

impl Preloaders {
    /// Whether a coin may preload an ID, as far as the operator's list goes. An ID that is named for one coin is not
    /// free for others.
    pub fn permit(&self, coin: CoinId, cs_id: &ContentServerId) -> bool {
        let is_named_for_another = || self.0.iter().any(|other| other.coin != coin && other.names(cs_id));
        let mut own = self.0.iter().filter(|own| own.coin == coin);
        own.any(|own| own.names(cs_id) || own.cs_ids.is_none() && !is_named_for_another())
    }
}

impl FromIterator<Preloader> for Preloaders {
    fn from_iter<I: IntoIterator<Item = Preloader>>(all: I) -> Self {
        Self(all.into_iter().collect())
    }
}

/// Which shares a node gives of a key set. `docs/protocol.md` section 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// Loaded by command 1: both, as the request asks.
    Public,
    /// Loaded by command 33: wide shares only.
    Wide,
}

/// A key set of a record: the sealed file of its master secret is the one with this number, drawn at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldKeySet {
    pub(crate) key_set: u8,
    pub(crate) form: Form,
    pub(crate) number: u64,
}

/// What a node keeps of a Content Server ID. The file is replaced as a whole, and nothing counts that it does not name:
/// owner, time and key sets change together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) cs_id: ContentServerId,
    pub(crate) owner: CoinId,
    /// The timestamp of the last preload by command 33, in Unix seconds.
    pub(crate) last_preload: Option<u64>,
    pub(crate) key_sets: Vec<HeldKeySet>,
}

/// A record as its file has it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordFile {
    cs_id: String,
    owner: String,
    last_preload: Option<u64>,
    key_sets: Vec<HeldKeySet>,
}

/// Why a node's records cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum OwnersError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A record says who owns a Content Server ID; guessing would give the ID away.
    #[error(
        "cannot read who owns a Content Server ID, from {path}: {reason}; bring the file back from a backup, or \
         remove it: then the ID is free, and its key sets are gone"
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// It cannot be written.
    #[error("cannot write who owns a Content Server ID, to {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// No node has used this folder.
    #[error("{0} is not the data directory of a RAIDA node that has run: its file `role` does not name one")]
    NotANode(PathBuf),
    /// Nobody has preloaded it here.
    #[error("nobody owns {0} at this node; `rke raida owner list` shows what is owned")]
    NotOwned(ContentServerId),
    /// There is nothing to move.
    #[error("{cs_id} belongs to coin {owner} already")]
    SameOwner {
        /// The ID.
        cs_id: ContentServerId,
        /// Its owner.
        owner: CoinId,
    },
}

impl Record {
    /// The record of an ID that a coin preloads as the first.
    pub(crate) fn new(cs_id: ContentServerId, owner: CoinId) -> Self {
        Self { cs_id, owner, last_preload: None, key_sets: Vec::new() }
    }

    fn path(folder: &Path, cs_id: &ContentServerId) -> PathBuf {
        folder.join(hex::encode(cs_id.padded())).with_extension(RECORD)
    }

    /// The sealed file of one of its key sets.
    pub(crate) fn secret_file(&self, folder: &Path, held: &HeldKeySet) -> PathBuf {
        let HeldKeySet { key_set, number, .. } = held;
        folder.join(format!("{}-k{key_set}-{number:016x}", hex::encode(self.cs_id.padded())))
    }

    fn read(path: &Path) -> Result<Self, OwnersError> {
        let wrong = |reason: String| OwnersError::Record { path: path.into(), reason };
        let text = read_own(path).map_err(|error| wrong(error.to_string()))?;
        let file: RecordFile = serde_json::from_slice(&text).map_err(|error| wrong(error.to_string()))?;
        let cs_id = ContentServerId::new(&file.cs_id).ok_or_else(|| wrong("its ID is malformed".into()))?;
        let owner = file.owner.parse().map_err(|error: &str| wrong(error.into()))?;
        if Self::path(path.parent().unwrap_or(Path::new(".")), &cs_id) != path {
            return Err(wrong("it is not the file of its ID".into()));
        }
        if file.key_sets.iter().any(|held| held.key_set == 0) {
            return Err(wrong("there is no key set 0".into()));
        }
        let RecordFile { last_preload, key_sets, .. } = file;
        Ok(Self { cs_id, owner, last_preload, key_sets })
    }

    /// Writes the record; it is on disk when this returns.
    ///
    /// # Errors
    /// [`OwnersError::Write`].
    pub(crate) fn write(&self, folder: &Path) -> Result<(), OwnersError> {
        let path = Self::path(folder, &self.cs_id);
        let (cs_id, owner) = (self.cs_id.to_string(), self.owner.to_string());
        let (last_preload, key_sets) = (self.last_preload, self.key_sets.clone());
        let file = RecordFile { cs_id, owner, last_preload, key_sets };
        let text = serde_json::to_vec_pretty(&file).map_err(io::Error::from);
        let written = text.and_then(|text| write_atomically(folder, &path, |file| file.write_all(&text)));
        written.map_err(|source| OwnersError::Write { path, source })
    }

    /// All records of a folder, and the other files in it.
    ///
    /// # Errors
    /// [`OwnersError::Record`].
    pub(crate) fn read_all(folder: &Path) -> Result<(Vec<Self>, Vec<PathBuf>), OwnersError> {
        let wrong = |error: io::Error| OwnersError::Record { path: folder.into(), reason: error.to_string() };
        let entries = fs::read_dir(folder).map_err(wrong)?.collect::<io::Result<Vec<_>>>().map_err(wrong)?;
        let is_record = |path: &PathBuf| path.extension().is_some_and(|extension| extension == RECORD);
        let (records, others) = entries.iter().map(fs::DirEntry::path).partition::<Vec<_>, _>(is_record);
        let records = records.iter().map(|path| Self::read(path)).collect::<Result<_, _>>()?;
        Ok((records, others))
    }
}

/// Whether a file of the folder has the name of a sealed master secret, or of one that was being written.
pub(crate) fn is_secret(file: &Path) -> bool {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let parts: Vec<&str> = name.split('-').collect();
    match parts.as_slice() {
        [id, key_set, number] => {
            let is_hex =
                |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            is_hex(id, 32) && key_set.starts_with('k') && is_hex(number, 16)
        }
        _ => name.starts_with(".tmp"),
    }
}

/// A sealed master secret of the folder, if there is one.
pub(crate) fn first_secret(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|file| is_secret(file)).find(|file| file.extension().is_none())
}

/// Whose a Content Server ID is at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// The ID: the 16 bytes of it that RAIDAs see.
    pub cs_id: ContentServerId,
    /// The coin that preloaded it first, or that the operator has given it to.
    pub owner: CoinId,
    /// When it was preloaded last, in Unix seconds, if command 33 has done it.
    pub last_preload: Option<u64>,
    /// Its key sets, in order.
    pub key_sets: Vec<KeySetId>,
}

/// Whose the Content Server IDs are at the node with this data directory, by ID. The node may be running.
///
/// # Errors
/// [`OwnersError`].
pub fn list(data_dir: &Path) -> Result<Vec<Ownership>, OwnersError> {
    let (_, folder) = node_at(data_dir)?;
    let (records, _) = Record::read_all(&folder)?;
    let mut all: Vec<Ownership> = records.iter().map(Ownership::of).collect();
    all.sort_unstable_by(|one, next| one.cs_id.as_str().cmp(next.cs_id.as_str()));
    Ok(all)
}

impl Ownership {
    fn of(record: &Record) -> Self {
        let Record { cs_id, owner, last_preload, .. } = *record;
        let ids = record.key_sets.iter().filter_map(|held| KeySetId::new(held.key_set));
        let mut key_sets: Vec<KeySetId> = ids.collect();
        key_sets.sort_unstable();
        Self { cs_id, owner, last_preload, key_sets }
    }
}

/// Gives a Content Server ID to another coin, at the node with this data directory, which must not be running. Its key
/// sets are removed, because the coin that preloaded them knows the master secrets. Gives what it was before.
///
/// # Errors
/// [`OwnersError`]; then nothing has changed.
pub fn move_to(data_dir: &Path, cs_id: &ContentServerId, owner: CoinId) -> Result<Ownership, OwnersError> {
    let (role, folder) = node_at(data_dir)?;
    let _alone = DataDir::open(data_dir, role, Sharing::Alone)?;
    let (records, _) = Record::read_all(&folder)?;
    let old = records.into_iter().find(|record| record.cs_id == *cs_id);
    let old = old.ok_or(OwnersError::NotOwned(*cs_id))?;
    if old.owner == owner {
        return Err(OwnersError::SameOwner { cs_id: old.cs_id, owner });
    }
    Record { owner, key_sets: Vec::new(), ..old.clone() }.write(&folder)?;
    for held in &old.key_sets {
        remove_secret(&old.secret_file(&folder, held));
    }
    Ok(Ownership::of(&old))
}

/// Which node's data directory it is, and the folder of its records.
fn node_at(data_dir: &Path) -> Result<(Role, PathBuf), OwnersError> {
    let folder = data_dir.join(FOLDER);
    match data_dir::look(data_dir)? {
        Some(role @ Role::Node(_)) if folder.is_dir() => Ok((role, folder)),
        _ => Err(OwnersError::NotANode(data_dir.into())),
    }
}

/// Removes the sealed file of a master secret that no record names any longer.
pub(crate) fn remove_secret(path: &Path) {
    if let Err(error) = Sealer::remove(path) {
        tracing::warn!(file = %path.display(), %error, "could not remove a master secret that is no longer used");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coin(serial: u32) -> CoinId {
        CoinId { denomination: 0, serial }
    }

    fn cs_id(text: &str) -> ContentServerId {
        ContentServerId::new(text).expect("an ID")
    }

    fn preloaders(texts: &[&str]) -> Preloaders {
        texts.iter().map(|text| text.parse::<Preloader>().expect("a preloader")).collect()
    }

    #[test]
    fn a_coin_may_preload_what_it_is_named_for_or_any_that_nobody_is_named_for() {
        let all = preloaders(&["0:1=SHOP+SHOP-TEST", "0:2", "0:3=*", "-3:7=OTHER", "0:1=THIRD"]);
        let may = |serial, id: &str| all.permit(coin(serial), &cs_id(id));
        assert!(may(1, "SHOP") && may(1, "SHOP-TEST") && may(1, "THIRD") && !may(1, "FREE"));
        assert!(may(2, "FREE") && may(3, "FREE") && !may(2, "SHOP") && !may(3, "OTHER"));
        assert!(!may(4, "FREE") && !may(7, "OTHER"));
        assert!(all.permit(CoinId { denomination: -3, serial: 7 }, &cs_id("OTHER")));
        assert!(!Preloaders::default().permit(coin(1), &cs_id("FREE")));
    }

    #[test]
    fn a_coin_that_is_named_and_may_have_any_beside_has_both() {
        let all = preloaders(&["0:1=SHOP", "0:1", "0:2=SHOP"]);
        assert!(all.permit(coin(1), &cs_id("SHOP")) && all.permit(coin(1), &cs_id("FREE")));
        assert!(all.permit(coin(2), &cs_id("SHOP")) && !all.permit(coin(2), &cs_id("FREE")));
    }

    #[test]
    fn what_is_no_preloader_is_refused() {
        for wrong in [
            "",
            "42",
            "0:42=",
            "0:42=A+",
            "0:42=+A",
            "0:42= A",
            "=A",
            "0:42=a-content-server-id-that-is-too-long",
        ] {
            assert!(wrong.parse::<Preloader>().is_err(), "{wrong:?}");
        }
        assert_eq!("0:42=*".parse(), Ok(Preloader::of_any(coin(42))));
        let odd = "0:42=A=B".parse::<Preloader>().expect("a preloader");
        assert!(odd.names(&cs_id("A=B")));
    }

    #[test]
    fn a_record_that_is_not_what_it_should_be_is_an_error() {
        let dir = tempfile::tempdir().expect("a folder");
        let record = Record::new(cs_id("CS"), coin(1));
        record.write(dir.path()).expect("written");
        assert_eq!(Record::read_all(dir.path()).expect("records").0, [record]);
        let path = Record::path(dir.path(), &cs_id("CS"));
        let good = fs::read_to_string(&path).expect("text");
        for (from, to) in [
            ("\"0:1\"", "\"1\""),
            ("\"CS\"", "\"CT\""),
            ("{", "["),
            ("null", "-1"),
            ("null,", "null, \"x\": 1,"),
        ] {
            let wrong = good.replacen(from, to, 1);
            assert_ne!(wrong, good, "{from}");
            fs::write(&path, wrong).expect("written");
            assert!(Record::read_all(dir.path()).is_err(), "{from}");
        }
    }
}
