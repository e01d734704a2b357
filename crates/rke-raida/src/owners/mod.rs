//! Which coin may preload which Content Server ID at a node, and which coin owns it: the operator's list, and the
//! records that the node stores next to the key sets. `docs/protocol.md` section 5.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rke_host::audit::AuditError;
use rke_host::data_dir::{self, DataDir, DataDirError, Role, Sharing};
use rke_host::durable::write_atomically;
use rke_host::own_file::read_own;
use rke_host::sealed::Sealer;
use rke_proto::coin::CoinId;
use rke_proto::{ContentServerId, KeySetId};
use serde::{Deserialize, Serialize};

use crate::audit::{NodeAudit, NodeEvent};

/// The folder in a node's data directory for the records and the sealed master secrets.
pub(crate) const FOLDER: &str = "key-sets";

const RECORD: &str = "json";

/// A coin that may preload, and the Content Server IDs that it may preload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preloader {
    coin: CoinId,
    /// `None`: any ID that no other coin owns or is named for.
    cs_ids: Option<Vec<ContentServerId>>,
}

impl Preloader {
    /// A coin that may preload any free Content Server ID.
    pub fn of_any(coin: CoinId) -> Self {
        Self { coin, cs_ids: None }
    }

    /// A coin that may preload these Content Server IDs, which are then no longer free for others.
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
        Ok(Self { coin, cs_ids: parse_cs_ids(ids)? })
    }
}

/// The Content Server IDs of a preloader, `ID+ID…`. `None` means any free one, which `*` says too.
///
/// # Errors
/// Names what is not a Content Server ID.
pub fn parse_cs_ids(text: Option<&str>) -> Result<Option<Vec<ContentServerId>>, String> {
    let parse = |id| ContentServerId::new(id).ok_or_else(|| format!("{id:?} is not a Content Server ID"));
    text.filter(|ids| *ids != "*").map(|ids| ids.split('+').map(parse).collect()).transpose()
}

/// All coins that may preload at a node.
#[derive(Debug, Clone, Default)]
pub struct Preloaders(Vec<Preloader>);

impl Preloaders {
    /// Whether the operator's list permits a coin to preload an ID. An ID that is named for one coin is not free for
    /// others.
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

/// The shares that a node gives from a key set. `docs/protocol.md` section 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Form {
    /// Loaded by command 1: wide or narrow ones, as the request says.
    Public,
    /// Loaded by command 33: wide shares only.
    Wide,
}

/// A key set in a record. Its master secret is in the sealed file with this random number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeldKeySet {
    pub(crate) key_set: u8,
    pub(crate) form: Form,
    pub(crate) number: u64,
}

/// A node's record of a Content Server ID. The file is replaced as a whole, and files that it does not name are
/// ignored: owner, time and key sets change together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) cs_id: ContentServerId,
    pub(crate) owner: CoinId,
    /// The timestamp of the last preload by command 33, in Unix seconds.
    pub(crate) last_preload: Option<u64>,
    pub(crate) key_sets: Vec<HeldKeySet>,
}

/// A record in the form of its file.
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
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// A record names the owner of a Content Server ID; a guess could give the ID to someone else.
    #[error(
        "cannot read who owns a Content Server ID, from {path}: {reason}; bring the file back from a backup, or \
         remove it: then the ID is free, and its key sets are gone"
    )]
    Record { path: PathBuf, reason: String },
    /// A record cannot be written.
    #[error("cannot write who owns a Content Server ID, to {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    /// No node has used this folder.
    #[error("{0} is not the data directory of a RAIDA node that has run: its file `role` does not name one")]
    NotANode(PathBuf),
    /// No coin has preloaded the ID at this node.
    #[error("nobody owns {0} at this node; `rke raida owner list` shows what is owned")]
    NotOwned(ContentServerId),
    /// The audit log cannot be opened.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The coin owns the ID already.
    #[error("{cs_id} belongs to coin {owner} already")]
    SameOwner { cs_id: ContentServerId, owner: CoinId },
}

impl Record {
    /// The record of an ID that a coin is the first to preload.
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

/// Whether a file of the folder has the name of a sealed master secret, finished or unfinished.
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

/// A sealed master secret of the folder, if one exists.
pub(crate) fn first_secret(folder: &Path) -> Option<PathBuf> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    files.filter(|file| is_secret(file)).find(|file| file.extension().is_none())
}

/// The owner of a Content Server ID at a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// The 16 bytes of the ID that RAIDAs see.
    pub cs_id: ContentServerId,
    /// The coin that preloaded it first, or that the operator has moved it to.
    pub owner: CoinId,
    /// The last preload by command 33, in Unix seconds, if any.
    pub last_preload: Option<u64>,
    /// Its key sets, in order.
    pub key_sets: Vec<KeySetId>,
}

/// The owners of the Content Server IDs at the node with this data directory, by ID. The node may be running.
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

/// Moves a Content Server ID to another coin, at the node with this data directory, which must not be running.
/// Removes its key sets, because the coin that preloaded them knows the master secrets. Notes it in the node's audit log,
/// if that is named. Returns the previous state.
///
/// # Errors
/// [`OwnersError`]; then nothing has changed.
pub fn move_to(
    data_dir: &Path,
    cs_id: &ContentServerId,
    owner: CoinId,
    audit_log: Option<&Path>,
) -> Result<Ownership, OwnersError> {
    let (role, folder) = node_at(data_dir)?;
    let data_dir = Arc::new(DataDir::open(data_dir, role, Sharing::Alone)?);
    let audit = NodeAudit::open_if_wanted(audit_log, &data_dir)?;
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
    audit.record(NodeEvent::IdMoved {
        cs_id: old.cs_id.to_string(),
        from: old.owner.to_string(),
        owner: owner.to_string(),
        key_sets_removed: old.key_sets.len(),
    });
    audit.close();
    Ok(Ownership::of(&old))
}

/// The node whose data directory this is, and the folder of its records.
fn node_at(data_dir: &Path) -> Result<(Role, PathBuf), OwnersError> {
    let folder = data_dir.join(FOLDER);
    match data_dir::read_role(data_dir)? {
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
mod tests;
