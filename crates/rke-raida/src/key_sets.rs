//! The master secrets that a node holds, in memory and in a sealed file each, and whose they are
//! (`owners.rs`). `docs/protocol.md` section 5.
//!
//! What a preload changes, it changes whole: the secrets are written to files that nobody names yet, then the record of
//! the Content Server ID is replaced, which names them and has the owner and the time. A crash before that leaves what
//! was, one after it what is new, and what no record names is removed at the next start.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use rke_host::data_dir::{DataDir, DataDirError, Role, Sharing};
use rke_host::sealed::{SealError, Sealer};
use rke_proto::coin::CoinId;
use rke_proto::command::Preloading;
use rke_proto::derive::ShareWidth;
use rke_proto::{ContentServerId, KeySetId, RaidaIndex};
use rke_secret::{Secret, SecretError};
use serde::{Deserialize, Serialize};

use crate::owners::{self, Form, HeldKeySet, OwnersError, Record, remove_secret};

/// What stands in the clear, and authenticated, before a sealed master secret.
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

/// A node's master secrets, and whose they are.
pub struct KeySets {
    data_dir: DataDir,
    folder: PathBuf,
    records: HashMap<ContentServerId, Record>,
    masters: HashMap<(ContentServerId, KeySetId), Master>,
}

/// Why a preload is refused. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum PreloadError {
    /// The ID is another coin's.
    #[error("the Content Server ID belongs to coin {0}; `rke raida owner move` gives it to another")]
    OwnedBy(CoinId),
    /// Command 1 with another master secret than the one that is there.
    #[error("{0} has another master secret, which command 1 does not replace")]
    Different(KeySetId),
    /// Command 33 that was not made after the last one.
    #[error("its timestamp is not later than the last one")]
    NotLater,
    /// A sealed file cannot be written.
    #[error("a master secret could not be stored: {0}")]
    Seal(#[from] SealError),
    /// The record cannot be written.
    #[error(transparent)]
    Owners(#[from] OwnersError),
}

/// Why a node cannot use what it has kept.
#[derive(Debug, thiserror::Error)]
pub enum KeySetsError {
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The records.
    #[error(transparent)]
    Owners(#[from] OwnersError),
}

impl KeySets {
    /// Opens what a node keeps in its data directory. A master secret that cannot be used is reported and removed.
    ///
    /// # Errors
    /// When the data directory or the records in it cannot be used.
    pub fn open(raida: RaidaIndex, path: &Path) -> Result<Self, KeySetsError> {
        let data_dir = DataDir::open(path, Role::Node(raida), Sharing::Alone)?;
        let folder = data_dir.folder(owners::FOLDER)?;
        let (records, mut others) = Record::read_all(&folder)?;
        let mut key_sets = Self { data_dir, folder, records: HashMap::new(), masters: HashMap::new() };
        for mut record in records {
            let files = |held: &HeldKeySet| record.secret_file(&key_sets.folder, held);
            let named: Vec<PathBuf> = record.key_sets.iter().map(files).collect();
            others.retain(|file| !named.contains(file));
            let held = std::mem::take(&mut record.key_sets);
            record.key_sets = held.into_iter().filter(|held| key_sets.load(&record, held)).collect();
            key_sets.records.insert(record.cs_id, record);
        }
        // Left behind by a preload that did not come to its end, or has replaced them.
        others.iter().for_each(|file| remove_secret(file));
        Ok(key_sets)
    }

    /// Loads a master secret that a record names. Says whether it can be used; it is removed where it cannot.
    fn load(&mut self, record: &Record, held: &HeldKeySet) -> bool {
        let file = record.secret_file(&self.folder, held);
        match self.read(record, held, &file) {
            Ok((key_set, secret)) => {
                self.masters.insert((record.cs_id, key_set), Master { form: held.form, secret });
                true
            }
            Err(reason) => {
                tracing::warn!(file = %file.display(), reason, "removed a master secret that cannot be used");
                let _ = Sealer::remove(&file);
                false
            }
        }
    }

    fn read(
        &self,
        record: &Record,
        held: &HeldKeySet,
        file: &Path,
    ) -> Result<(KeySetId, Secret<32>), String> {
        let (description, secret) = self.data_dir.sealer().read(file).map_err(|error| error.to_string())?;
        let description: Description =
            serde_json::from_slice(&description).map_err(|_| "its description is malformed")?;
        let cs_id = ContentServerId::new(&description.cs_id).ok_or("its Content Server ID is malformed")?;
        let key_set = KeySetId::new(description.key_set).ok_or("its key set is 0")?;
        let is_its_own = cs_id == record.cs_id && key_set.get() == held.key_set;
        if !is_its_own || description.number != held.number {
            return Err("it is not the file of its key set".into());
        }
        Ok((key_set, secret))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.masters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.masters.is_empty()
    }

    /// The master secret of a key set, for a share of this width: what command 33 has loaded is for wide ones only.
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

    /// Keeps the master secrets that a coin preloads, of which the last counts where a key set is named twice. The ID
    /// is the coin's from then on. All is on disk when this returns.
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

    /// Those of the master secrets that are not there yet. Command 1 replaces none.
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

    /// Writes the new files, then the record that names them, and only then takes both over.
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
        // Where only its fsync fails the record is there all the same: the files that it names stay.
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

/// Of each key set the master secret that comes last.
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
