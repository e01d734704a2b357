//! The master secrets that a node holds: one for each Content Server ID and key id, in memory and
//! in a sealed file each, so that they survive a restart.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use rke_host::data_dir::{DataDir, DataDirError, Sharing};
use rke_host::sealed::{SealError, Sealer};
use rke_proto::{ContentServerId, KeyId};
use rke_secret::Secret;
use serde::{Deserialize, Serialize};

const FOLDER: &str = "key-sets";

/// What stands in clear, and authenticated, before a sealed master secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    cs_id: String,
    key_id: u8,
}

/// A node's master secrets.
pub struct KeySets {
    data_dir: DataDir,
    folder: PathBuf,
    masters: HashMap<(ContentServerId, KeyId), Secret<32>>,
}

impl KeySets {
    /// Opens what is kept in a data directory. A file that cannot be used is reported and removed.
    ///
    /// # Errors
    /// When the data directory cannot be used.
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        let data_dir = DataDir::open(path, Sharing::Alone)?;
        let folder = data_dir.folder(FOLDER)?;
        let mut key_sets = Self { data_dir, folder, masters: HashMap::new() };
        let files = fs::read_dir(&key_sets.folder).into_iter().flatten().flatten();
        for file in files.map(|entry| entry.path()) {
            if let Err(reason) = key_sets.load(&file) {
                tracing::warn!(file = %file.display(), reason, "removed a master secret that cannot be used");
                let _ = Sealer::remove(&file);
            }
        }
        Ok(key_sets)
    }

    fn load(&mut self, file: &Path) -> Result<(), String> {
        let (description, master) = self.data_dir.sealer().read(file).map_err(|error| error.to_string())?;
        let description: Description =
            serde_json::from_slice(&description).map_err(|_| "its description is malformed")?;
        let cs_id = ContentServerId::new(&description.cs_id).ok_or("its Content Server ID is malformed")?;
        let key_id = KeyId::new(description.key_id).ok_or("its key id is 0")?;
        if self.file_of(&cs_id, key_id) != file {
            return Err("it is not the file of its key set".into());
        }
        self.masters.insert((cs_id, key_id), master);
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.masters.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.masters.is_empty()
    }

    /// The master secret of a key set.
    pub fn master(&self, cs_id: &ContentServerId, key_id: KeyId) -> Option<&Secret<32>> {
        self.masters.get(&(*cs_id, key_id))
    }

    /// Keeps a master secret, in place of an older one of the same key set. It is on disk when this
    /// returns.
    ///
    /// # Errors
    /// [`SealError`]; an older one is unchanged.
    pub fn keep(
        &mut self,
        cs_id: ContentServerId,
        key_id: KeyId,
        master: Secret<32>,
    ) -> Result<(), SealError> {
        let description = Description { cs_id: cs_id.to_string(), key_id: key_id.get() };
        let description = serde_json::to_vec(&description).map_err(|_| SealError::Malformed)?;
        self.data_dir.sealer().write(&self.file_of(&cs_id, key_id), &description, &master)?;
        self.masters.insert((cs_id, key_id), master);
        Ok(())
    }

    fn file_of(&self, cs_id: &ContentServerId, key_id: KeyId) -> PathBuf {
        self.folder.join(format!("{}-{key_id}", hex::encode(cs_id.padded())))
    }
}
