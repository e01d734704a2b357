//! The key sets of a Content Server on disk: a sealed folder for each, appearing whole or not at all,
//! with a file in it that says when the key set retires. One process serves from it while another
//! adds to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rke_host::data_dir::{DataDir, Sharing};
use rke_proto::{ContentServerId, KeyId};

use super::{ContentServerError, MasterSecrets};

/// In a key set's folder: the RAIDAs have it.
const PRELOADED: &str = "preloaded";
/// In a key set's folder: the Unix time at which it is not served any more.
const RETIRES_AT: &str = "retires-at";

/// A key set and until when it is served.
#[derive(Clone)]
pub struct ServedKeySet {
    /// Its master secrets.
    pub secrets: Arc<MasterSecrets>,
    /// In Unix seconds. `None`: until further notice.
    pub retires_at: Option<u64>,
}

/// All key sets of one Content Server ID in a data directory.
pub struct KeyRing {
    cs_id: ContentServerId,
    data_dir: DataDir,
    sets: Vec<ServedKeySet>,
}

impl KeyRing {
    /// Opens what is there, beside other processes that do the same.
    ///
    /// # Errors
    /// [`ContentServerError`].
    pub fn open(cs_id: ContentServerId, data_dir: &Path) -> Result<Self, ContentServerError> {
        let data_dir = DataDir::open(data_dir, Sharing::Shared)?;
        let mut ring = Self { cs_id, data_dir, sets: Vec::new() };
        ring.refresh()?;
        Ok(ring)
    }

    /// Takes in what others have added and when they want it retired.
    ///
    /// # Errors
    /// [`ContentServerError`]; what was known stays.
    pub fn refresh(&mut self) -> Result<(), ContentServerError> {
        let mut sets = Vec::new();
        for key_id in self.key_ids()? {
            let folder = self.folder(key_id);
            let known = self.sets.iter().find(|set| set.secrets.key_id() == key_id);
            let secrets = match known {
                Some(set) => Arc::clone(&set.secrets),
                None => Arc::new(MasterSecrets::open(self.cs_id, key_id, &self.data_dir, &folder)?),
            };
            sets.push(ServedKeySet { secrets, retires_at: read_time(&folder.join(RETIRES_AT))? });
        }
        self.sets = sets;
        Ok(())
    }

    /// The key sets, the lowest number first.
    pub fn sets(&self) -> &[ServedKeySet] {
        &self.sets
    }

    /// The key set of this number; new master secrets where there is none.
    ///
    /// # Errors
    /// [`ContentServerError`].
    pub fn open_or_make(&mut self, key_id: KeyId) -> Result<Arc<MasterSecrets>, ContentServerError> {
        if let Some(set) = self.sets.iter().find(|set| set.secrets.key_id() == key_id) {
            return Ok(Arc::clone(&set.secrets));
        }
        let secrets = MasterSecrets::random(self.cs_id, key_id)?;
        let (folder, unfinished) = (self.folder(key_id), self.folder_name(key_id) + ".new");
        let unfinished = self.data_dir.folder(&unfinished)?;
        secrets.write(&self.data_dir, &unfinished)?;
        let moved = fs::rename(&unfinished, &folder).and_then(|()| sync(self.data_dir.path()));
        moved.map_err(files(&folder))?;
        self.refresh()?;
        Ok(Arc::new(secrets))
    }

    /// The key set to rotate to, beside those that there are: one that the RAIDAs do not have yet, left by a rotation that failed,
    /// or a new one.
    ///
    /// # Errors
    /// [`ContentServerError`].
    pub fn next_key_set(&mut self) -> Result<Arc<MasterSecrets>, ContentServerError> {
        let newest = self.sets.last().map(|set| set.secrets.key_id());
        let next = match newest {
            Some(newest) if !self.folder(newest).join(PRELOADED).exists() => newest.get(),
            Some(newest) => newest.get().checked_add(1).ok_or(ContentServerError::NoKeyIdLeft)?,
            None => return Err(ContentServerError::NoKeySet(self.data_dir.path().into())),
        };
        self.open_or_make(KeyId::new(next).ok_or(ContentServerError::NoKeyIdLeft)?)
    }

    /// Notes that the RAIDAs have a key set.
    ///
    /// # Errors
    /// [`ContentServerError::Files`].
    pub fn note_preloaded(&self, key_id: KeyId) -> Result<(), ContentServerError> {
        self.write(key_id, PRELOADED, "")
    }

    /// Retires every key set below this one at a time, unless it retires before that.
    ///
    /// # Errors
    /// [`ContentServerError::Files`].
    pub fn retire_below(&mut self, key_id: KeyId, at: u64) -> Result<(), ContentServerError> {
        let older = self.sets.iter().filter(|set| set.secrets.key_id() < key_id);
        for set in older.filter(|set| set.retires_at.is_none_or(|earlier| earlier > at)) {
            self.write(set.secrets.key_id(), RETIRES_AT, &at.to_string())?;
        }
        self.refresh()
    }

    fn write(&self, key_id: KeyId, name: &str, text: &str) -> Result<(), ContentServerError> {
        let folder = self.folder(key_id);
        let path = folder.join(name);
        let write = |file: &mut fs::File| io::Write::write_all(file, text.as_bytes());
        rke_host::data_dir::write_atomically(&folder, &path, write).map_err(files(&path))
    }

    fn folder_name(&self, key_id: KeyId) -> String {
        format!("{}{key_id}", self.prefix())
    }

    fn folder(&self, key_id: KeyId) -> PathBuf {
        self.data_dir.path().join(self.folder_name(key_id))
    }

    fn prefix(&self) -> String {
        format!("master-secrets-{}-", hex::encode(self.cs_id.padded()))
    }

    fn key_ids(&self) -> Result<Vec<KeyId>, ContentServerError> {
        let entries = fs::read_dir(self.data_dir.path()).map_err(files(self.data_dir.path()))?;
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let prefix = self.prefix();
        let mut ids: Vec<KeyId> =
            names.filter_map(|name| KeyId::parse(name.strip_prefix(&prefix)?)).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

fn read_time(path: &Path) -> Result<Option<u64>, ContentServerError> {
    match fs::read_to_string(path) {
        Ok(text) => match text.trim().parse() {
            Ok(time) => Ok(Some(time)),
            Err(_) => {
                Err(files(path)(io::Error::new(io::ErrorKind::InvalidData, "not a time in Unix seconds")))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(files(path)(error)),
    }
}

fn sync(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

fn files(path: &Path) -> impl FnOnce(io::Error) -> ContentServerError {
    let path = path.to_path_buf();
    move |source| ContentServerError::Files { path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(dir: &Path) -> KeyRing {
        KeyRing::open(ContentServerId::new("CS").expect("an ID"), dir).expect("a key ring")
    }

    fn first(ring: &mut KeyRing) -> Arc<MasterSecrets> {
        ring.open_or_make(KeyId::new(1).expect("k1")).expect("a key set")
    }

    fn ids(ring: &KeyRing) -> Vec<u8> {
        ring.sets().iter().map(|set| set.secrets.key_id().get()).collect()
    }

    #[test]
    fn rotating_makes_one_key_set_after_the_other_and_a_failed_rotation_is_taken_up_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut ring = ring(dir.path());
        assert!(
            matches!(ring.next_key_set(), Err(ContentServerError::NoKeySet(_))),
            "nothing to rotate from"
        );
        assert_eq!(first(&mut ring).key_id().get(), 1);
        assert_eq!(ring.next_key_set().expect("a key set").key_id().get(), 1);
        ring.note_preloaded(KeyId::new(1).expect("k1")).expect("noted");
        assert_eq!(ring.next_key_set().expect("a key set").key_id().get(), 2);
        assert_eq!(ids(&ring), [1, 2]);
    }

    #[test]
    fn another_process_sees_what_was_added_and_when_it_retires() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut writer, mut second) = (ring(dir.path()), ring(dir.path()));
        let made = first(&mut writer);
        writer.note_preloaded(made.key_id()).expect("noted");
        let newer = writer.next_key_set().expect("a key set");
        writer.retire_below(newer.key_id(), 1234).expect("retired");
        second.refresh().expect("refreshed");
        assert_eq!(ids(&second), [1, 2]);
        assert_eq!(second.sets()[0].retires_at, Some(1234));
        assert_eq!(second.sets()[1].retires_at, None);
        writer.retire_below(newer.key_id(), 9999).expect("retired");
        assert_eq!(writer.sets()[0].retires_at, Some(1234), "not later than said before");
    }

    #[test]
    fn a_damaged_master_secret_is_an_error_and_not_a_new_one() {
        let dir = tempfile::tempdir().expect("a folder");
        drop(first(&mut ring(dir.path())));
        let folder = ring(dir.path()).folder(KeyId::new(1).expect("k1"));
        fs::write(folder.join("raida-03"), b"damaged").expect("written");
        assert!(KeyRing::open(ContentServerId::new("CS").expect("an ID"), dir.path()).is_err());
    }
}
