//! The master secrets that a node holds, in memory and in one sealed file each, and their owners (`owners.rs`).
//! `docs/protocol.md` section 5.
//!
//! A preload is atomic. The secrets go to new files that no record names yet; then the record of the Content Server
//! ID is replaced, which names the files and holds the owner and the time. A crash before that leaves the old state,
//! a crash after it the new one. Files that no record names are removed at the next start.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rke_host::data_dir::{self, DataDir, DataDirError, Role, Sharing};
use rke_host::sealed::SealError;
use rke_proto::coin::CoinId;
use rke_proto::command::Preloading;
use rke_proto::derive::ShareWidth;
use rke_proto::{ContentServerId, KeySetId, RaidaIndex};
use rke_secret::{Secret, SecretError};
use serde::{Deserialize, Serialize};

use crate::owners::{self, Form, HeldKeySet, OwnersError, Record, remove_secret};

/// The plain text that is authenticated in front of a sealed master secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    cs_id: String,
    key_set: u8,
    number: u64,
}

struct Master {
    form: Form,
    secret: Secret<32>,
}

/// A node's master secrets, and their owners.
pub struct KeySets {
    data_dir: Arc<DataDir>,
    folder: PathBuf,
    records: HashMap<ContentServerId, Record>,
    masters: HashMap<(ContentServerId, KeySetId), Master>,
}

/// Why a preload is refused. Nothing has changed in that case.
#[derive(Debug, thiserror::Error)]
pub enum PreloadError {
    /// Another coin owns the ID.
    #[error("the Content Server ID belongs to coin {0}; `rke raida owner move` gives it to another")]
    OwnedBy(CoinId),
    /// Command 1 with a different master secret from the stored one.
    #[error("{0} has another master secret, which command 1 does not replace")]
    Different(KeySetId),
    /// Command 33 with a timestamp that is not later than the last one.
    #[error("its timestamp is not later than the last one")]
    NotLater,
    /// A sealed file cannot be written.
    #[error("a master secret could not be stored: {0}")]
    Seal(#[from] SealError),
    /// The record cannot be written.
    #[error(transparent)]
    Owners(#[from] OwnersError),
}

/// Why a node cannot use its stored data.
#[derive(Debug, thiserror::Error)]
pub enum KeySetsError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The records cannot be used.
    #[error(transparent)]
    Owners(#[from] OwnersError),
    /// A master secret cannot be read at the moment. It may be intact.
    #[error("cannot read the master secret in {path}: {source}")]
    Read { path: PathBuf, source: SealError },
}

impl KeySets {
    /// Opens a node's data directory. A damaged master secret is reported and moved aside; its record still names it,
    /// so that the operator can put a copy in its place.
    ///
    /// # Errors
    /// [`KeySetsError`] if the data directory, its records or its files cannot be read, or if key sets exist without
    /// a master key.
    pub fn open(raida: RaidaIndex, path: &Path) -> Result<Self, KeySetsError> {
        data_dir::check(path, Role::Node(raida))?;
        if let Some(sealed) = owners::first_secret(&path.join(owners::FOLDER)) {
            data_dir::expect_master_key(path, &sealed)?;
        }
        let data_dir = Arc::new(DataDir::open(path, Role::Node(raida), Sharing::Alone)?);
        let folder = data_dir.folder(owners::FOLDER)?;
        let (records, mut others) = Record::read_all(&folder)?;
        let mut key_sets = Self { data_dir, folder, records: HashMap::new(), masters: HashMap::new() };
        for record in records {
            let files = |held: &HeldKeySet| record.secret_file(&key_sets.folder, held);
            let named: Vec<PathBuf> = record.key_sets.iter().map(files).collect();
            others.retain(|file| !named.contains(file));
            record.key_sets.iter().try_for_each(|held| key_sets.load(&record, held))?;
            key_sets.records.insert(record.cs_id, record);
        }
        // Left by an interrupted preload, or by one that replaced them.
        others.iter().filter(|file| owners::is_secret(file)).for_each(|file| remove_secret(file));
        Ok(key_sets)
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> &Arc<DataDir> {
        &self.data_dir
    }

    /// Loads a master secret that a record names, if it is usable.
    fn load(&mut self, record: &Record, held: &HeldKeySet) -> Result<(), KeySetsError> {
        let path = record.secret_file(&self.folder, held);
        match self.read(record, held, &path) {
            Ok((key_set, secret)) => {
                self.masters.insert((record.cs_id, key_set), Master { form: held.form, secret });
            }
            Err(error) if error.is_missing() => {
                tracing::error!(file = %path.display(), "a master secret is missing; preload its key set again");
            }
            Err(error) if error.is_damage() => self.set_aside(&path, &error),
            Err(source) => return Err(KeySetsError::Read { path, source }),
        }
        Ok(())
    }

    fn set_aside(&self, file: &Path, why: &SealError) {
        match self.data_dir.set_aside(file) {
            Ok(aside) => tracing::error!(
                file = %file.display(), aside = %aside.display(), %why,
                "a master secret cannot be used, and was moved aside; put a copy of it in its place, or preload its key set again"
            ),
            Err(error) => {
                tracing::error!(file = %file.display(), %why, %error, "a master secret cannot be used")
            }
        }
    }

    fn read(
        &self,
        record: &Record,
        held: &HeldKeySet,
        file: &Path,
    ) -> Result<(KeySetId, Secret<32>), SealError> {
        let (description, secret) = self.data_dir.sealer().read(file)?;
        let Description { cs_id, key_set, number } =
            serde_json::from_slice(&description).map_err(|_| SealError::Malformed)?;
        let is_its_own = ContentServerId::new(&cs_id) == Some(record.cs_id) && key_set == held.key_set;
        if !is_its_own || number != held.number {
            return Err(SealError::Elsewhere);
        }
        Ok((KeySetId::new(key_set).ok_or(SealError::Malformed)?, secret))
    }

    /// The number of master secrets.
    pub fn len(&self) -> usize {
        self.masters.len()
    }

    /// The number of Content Server IDs that a coin owns.
    pub fn owned(&self) -> usize {
        self.records.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.masters.is_empty()
    }

    /// The master secret of a key set, for a share of this width: those from command 33 serve wide shares only.
    pub fn master(
        &self,
        cs_id: &ContentServerId,
        key_set: KeySetId,
        width: ShareWidth,
    ) -> Option<&Secret<32>> {
        let master = self.masters.get(&(*cs_id, key_set))?;
        match (master.form, width) {
            (Form::Wide, ShareWidth::Narrow) => None,
            (Form::Public, _) | (Form::Wide, ShareWidth::Wide) => Some(&master.secret),
        }
    }

    /// The coin that owns a Content Server ID here.
    pub fn owner(&self, cs_id: &ContentServerId) -> Option<CoinId> {
        self.records.get(cs_id).map(|record| record.owner)
    }

    /// Stores the master secrets that a coin preloads; if a key set is named twice, the last one counts. The coin
    /// owns the ID from then on. Everything is on disk when this returns.
    ///
    /// # Errors
    /// [`PreloadError`]; then nothing has changed.
    pub fn preload(
        &mut self,
        cs_id: ContentServerId,
        coin: CoinId,
        preloading: Preloading,
        masters: Vec<(KeySetId, Secret<32>)>,
    ) -> Result<(), PreloadError> {
        let old = self.records.get(&cs_id).cloned().unwrap_or_else(|| Record::new(cs_id, coin));
        if old.owner != coin {
            return Err(PreloadError::OwnedBy(old.owner));
        }
        let (form, last_preload) = match preloading {
            Preloading::Public => (Form::Public, old.last_preload),
            Preloading::Dated(at) if old.last_preload.is_some_and(|last| at <= last) => {
                return Err(PreloadError::NotLater);
            }
            Preloading::Dated(at) => (Form::Wide, Some(at)),
        };
        let masters = match preloading {
            Preloading::Public => self.only_new(cs_id, masters)?,
            Preloading::Dated(_) => last_of_each(masters),
        };
        let mut new = Record { last_preload, ..old.clone() };
        let mut loaded = Vec::with_capacity(masters.len());
        for (key_set, secret) in masters {
            let number = getrandom::u64().map_err(|error| SealError::from(SecretError::from(error)))?;
            let held = HeldKeySet { key_set: key_set.get(), form, number };
            loaded.push((key_set, held, Master { form, secret }));
        }
        new.key_sets.retain(|held| loaded.iter().all(|(key_set, ..)| key_set.get() != held.key_set));
        new.key_sets.extend(loaded.iter().map(|(_, held, _)| *held));
        self.commit(&old, new, loaded)
    }

    /// The master secrets that are not stored yet, because command 1 replaces none.
    fn only_new(
        &self,
        cs_id: ContentServerId,
        masters: Vec<(KeySetId, Secret<32>)>,
    ) -> Result<Vec<(KeySetId, Secret<32>)>, PreloadError> {
        let mut new: Vec<(KeySetId, Secret<32>)> = Vec::new();
        for (key_set, secret) in masters {
            let earlier = new.iter().find(|(earlier, _)| *earlier == key_set).map(|(_, secret)| secret);
            let there = earlier.or_else(|| self.masters.get(&(cs_id, key_set)).map(|master| &master.secret));
            match there.map(|there| there.matches(&secret)) {
                Some(true) => (),
                Some(false) => return Err(PreloadError::Different(key_set)),
                None => new.push((key_set, secret)),
            }
        }
        Ok(new)
    }

    /// Writes the new files, then the record that names them, and only then updates the memory.
    fn commit(
        &mut self,
        old: &Record,
        new: Record,
        loaded: Vec<(KeySetId, HeldKeySet, Master)>,
    ) -> Result<(), PreloadError> {
        for (at, (_, held, master)) in loaded.iter().enumerate() {
            if let Err(error) = self.write_secret(&new, held, &master.secret) {
                let written = &loaded[..at];
                written.iter().for_each(|(_, held, _)| remove_secret(&new.secret_file(&self.folder, held)));
                return Err(error.into());
            }
        }
        // If only the fsync fails, the record may exist all the same, so the files that it names stay.
        new.write(&self.folder)?;
        let replaced = old.key_sets.iter().filter(|held| !new.key_sets.contains(held));
        replaced.for_each(|held| remove_secret(&old.secret_file(&self.folder, held)));
        for (key_set, _, master) in loaded {
            self.masters.insert((new.cs_id, key_set), master);
        }
        self.records.insert(new.cs_id, new);
        Ok(())
    }

    fn write_secret(&self, record: &Record, held: &HeldKeySet, secret: &Secret<32>) -> Result<(), SealError> {
        let (cs_id, HeldKeySet { key_set, number, .. }) = (record.cs_id.to_string(), *held);
        let description = serde_json::to_vec(&Description { cs_id, key_set, number });
        let description = description.map_err(|_| SealError::Malformed)?;
        self.data_dir.sealer().write(&record.secret_file(&self.folder, held), &description, secret)
    }
}

/// The last master secret of each key set.
fn last_of_each(masters: Vec<(KeySetId, Secret<32>)>) -> Vec<(KeySetId, Secret<32>)> {
    let mut last: Vec<(KeySetId, Secret<32>)> = Vec::with_capacity(masters.len());
    for (key_set, secret) in masters {
        last.retain(|(earlier, _)| *earlier != key_set);
        last.push((key_set, secret));
    }
    last
}

#[cfg(test)]
mod tests;
