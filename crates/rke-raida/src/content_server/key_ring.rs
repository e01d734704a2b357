//! The key sets of a Content Server on disk: a sealed folder for each, appearing whole or not at all,
//! with a file in it that says when the key set retires. One process serves from it while another
//! adds to it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rke_host::data_dir::{DataDir, Role, Sharing};
use rke_host::own_file::read_own_text;
use rke_proto::command::Preloading;
use rke_proto::derive::ShareWidth;
use rke_proto::directory::Directory;
use rke_proto::{ContentServerId, KeySetId};

use super::{ContentServerError, MasterSecrets, PreloadReport};
use crate::clock::unix_seconds;
use crate::replay::WINDOW_SECONDS;

/// In a key set's folder: the RAIDAs have it.
const PRELOADED: &str = "preloaded";
/// The Unix time of the last preload, in the data directory, and behind a dash the ID's.
const LAST_PRELOAD: &str = "last-preload";
/// In a key set's folder: the Unix time from which it is no longer served.
const RETIRES_AT: &str = "retires-at";
/// In a key set's folder: it is for narrow shares, and for nothing else.
const NARROW: &str = "narrow-shares";

/// A key set and until when it is served.
#[derive(Clone)]
pub struct ServedKeySet {
    /// Its master secrets.
    pub secrets: Arc<MasterSecrets>,
    /// Whether it is for wide shares or for narrow ones: never for both. `docs/protocol.md` section 6.
    pub width: ShareWidth,
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
    /// Opens what is there, while other processes may do the same.
    ///
    /// # Errors
    /// [`ContentServerError`].
    pub fn open(cs_id: ContentServerId, data_dir: &Path) -> Result<Self, ContentServerError> {
        let data_dir = DataDir::open(data_dir, Role::ContentServer, Sharing::Shared)?;
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
        for key_set in self.key_set_ids()? {
            let folder = self.folder(key_set);
            let known = self.sets.iter().find(|set| set.secrets.key_set() == key_set);
            let secrets = match known {
                Some(set) => Arc::clone(&set.secrets),
                None => Arc::new(MasterSecrets::open(self.cs_id, key_set, &self.data_dir, &folder)?),
            };
            let width = self.width(key_set);
            sets.push(ServedKeySet { secrets, width, retires_at: read_time(&folder.join(RETIRES_AT))? });
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
    pub fn open_or_make(&mut self, key_set: KeySetId) -> Result<Arc<MasterSecrets>, ContentServerError> {
        if let Some(set) = self.sets.iter().find(|set| set.secrets.key_set() == key_set) {
            return Ok(Arc::clone(&set.secrets));
        }
        let secrets = MasterSecrets::random(self.cs_id, key_set)?;
        let (folder, unfinished) = (self.folder(key_set), self.folder_name(key_set) + ".new");
        let unfinished = self.data_dir.folder(&unfinished)?;
        secrets.write(&self.data_dir, &unfinished)?;
        let moved = fs::rename(&unfinished, &folder).and_then(|()| sync(self.data_dir.path()));
        moved.map_err(files(&folder))?;
        self.refresh()?;
        Ok(Arc::new(secrets))
    }

    /// The key set to rotate to, next to the existing ones: one that the RAIDAs do not have yet, left by a rotation that failed,
    /// or a new one.
    ///
    /// # Errors
    /// [`ContentServerError`].
    pub fn next_key_set(&mut self) -> Result<Arc<MasterSecrets>, ContentServerError> {
        let newest = self.sets.last().map(|set| set.secrets.key_set());
        let next = match newest {
            Some(newest) if !self.folder(newest).join(PRELOADED).exists() => newest.get(),
            Some(newest) => newest.get().checked_add(1).ok_or(ContentServerError::NoKeySetLeft)?,
            None => return Err(ContentServerError::NoKeySet(self.data_dir.path().into())),
        };
        self.open_or_make(KeySetId::new(next).ok_or(ContentServerError::NoKeySetLeft)?)
    }

    /// Preloads a key set for the shares that it is for; one of wide shares as the last that has been preloaded.
    /// `docs/protocol.md` section 5.
    ///
    /// # Errors
    /// [`ContentServerError`], where nothing could be sent at all.
    pub async fn preload(
        &self,
        secrets: &MasterSecrets,
        directory: &Directory,
        wallet: &Path,
        timeout: Duration,
    ) -> Result<PreloadReport, ContentServerError> {
        let preloading = match self.width(secrets.key_set()) {
            ShareWidth::Narrow => Preloading::Public,
            ShareWidth::Wide => Preloading::Dated(self.next_preload(unix_seconds())?),
        };
        secrets.preload(directory, wallet, preloading, timeout).await
    }

    /// The time of a preload that is made at `now`: RAIDAs accept only one later than the last, and two may be
    /// made in the same second. One that they cannot have accepted, because it lies too far ahead, does not count.
    fn next_preload(&self, now: u64) -> Result<u64, ContentServerError> {
        let name = format!("{LAST_PRELOAD}-{}", hex::encode(self.cs_id.padded()));
        let path = self.data_dir.path().join(&name);
        let last = read_time(&path)?.filter(|last| *last <= now.saturating_add(WINDOW_SECONDS));
        let next = last.map_or(now, |last| now.max(last.saturating_add(1)));
        self.data_dir.write(&name, |file| io::Write::write_all(file, next.to_string().as_bytes()))?;
        Ok(next)
    }

    /// Notes that the RAIDAs have a key set.
    ///
    /// # Errors
    /// [`ContentServerError::Files`].
    pub fn note_preloaded(&self, key_set: KeySetId) -> Result<(), ContentServerError> {
        self.write(key_set, PRELOADED, "")
    }

    /// What a key set is for.
    pub fn width(&self, key_set: KeySetId) -> ShareWidth {
        match self.folder(key_set).join(NARROW).exists() {
            true => ShareWidth::Narrow,
            false => ShareWidth::Wide,
        }
    }

    /// Notes that a key set is for narrow shares. To be called before it is preloaded.
    ///
    /// # Errors
    /// [`ContentServerError`].
    pub fn note_narrow(&mut self, key_set: KeySetId) -> Result<(), ContentServerError> {
        self.write(key_set, NARROW, "")?;
        self.refresh()
    }

    /// Retires every key set below this one at a time, unless it retires before that.
    ///
    /// # Errors
    /// [`ContentServerError::Files`].
    pub fn retire_below(&mut self, key_set: KeySetId, at: u64) -> Result<(), ContentServerError> {
        let older = self.sets.iter().filter(|set| set.secrets.key_set() < key_set);
        for set in older.filter(|set| set.retires_at.is_none_or(|earlier| earlier > at)) {
            self.write(set.secrets.key_set(), RETIRES_AT, &at.to_string())?;
        }
        self.refresh()
    }

    fn write(&self, key_set: KeySetId, name: &str, text: &str) -> Result<(), ContentServerError> {
        let folder = self.folder(key_set);
        let path = folder.join(name);
        let write = |file: &mut fs::File| io::Write::write_all(file, text.as_bytes());
        rke_host::data_dir::write_atomically(&folder, &path, write).map_err(files(&path))
    }

    fn folder_name(&self, key_set: KeySetId) -> String {
        format!("{}{key_set}", self.prefix())
    }

    fn folder(&self, key_set: KeySetId) -> PathBuf {
        self.data_dir.path().join(self.folder_name(key_set))
    }

    fn prefix(&self) -> String {
        format!("master-secrets-{}-", hex::encode(self.cs_id.padded()))
    }

    fn key_set_ids(&self) -> Result<Vec<KeySetId>, ContentServerError> {
        let entries = fs::read_dir(self.data_dir.path()).map_err(files(self.data_dir.path()))?;
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let prefix = self.prefix();
        let mut ids: Vec<KeySetId> =
            names.filter_map(|name| KeySetId::parse(name.strip_prefix(&prefix)?)).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

fn read_time(path: &Path) -> Result<Option<u64>, ContentServerError> {
    match read_own_text(path) {
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
        ring.open_or_make(KeySetId::new(1).expect("k1")).expect("a key set")
    }

    fn ids(ring: &KeyRing) -> Vec<u8> {
        ring.sets().iter().map(|set| set.secrets.key_set().get()).collect()
    }

    #[test]
    fn rotating_makes_one_key_set_after_the_other_and_a_failed_rotation_is_taken_up_again() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut ring = ring(dir.path());
        assert!(
            matches!(ring.next_key_set(), Err(ContentServerError::NoKeySet(_))),
            "nothing to rotate from"
        );
        assert_eq!(first(&mut ring).key_set().get(), 1);
        assert_eq!(ring.next_key_set().expect("a key set").key_set().get(), 1);
        ring.note_preloaded(KeySetId::new(1).expect("k1")).expect("noted");
        assert_eq!(ring.next_key_set().expect("a key set").key_set().get(), 2);
        assert_eq!(ids(&ring), [1, 2]);
    }

    #[test]
    fn another_process_sees_what_was_added_and_when_it_retires() {
        let dir = tempfile::tempdir().expect("a folder");
        let (mut writer, mut second) = (ring(dir.path()), ring(dir.path()));
        let made = first(&mut writer);
        writer.note_preloaded(made.key_set()).expect("noted");
        let newer = writer.next_key_set().expect("a key set");
        writer.retire_below(newer.key_set(), 1234).expect("retired");
        second.refresh().expect("refreshed");
        assert_eq!(ids(&second), [1, 2]);
        assert_eq!(second.sets()[0].retires_at, Some(1234));
        assert_eq!(second.sets()[1].retires_at, None);
        writer.retire_below(newer.key_set(), 9999).expect("retired");
        assert_eq!(writer.sets()[0].retires_at, Some(1234), "not later than said before");
    }

    #[test]
    fn each_preload_is_later_than_the_last_one() {
        let dir = tempfile::tempdir().expect("a folder");
        let next = |now| ring(dir.path()).next_preload(now).expect("a time");
        assert_eq!(
            [next(1000), next(1000), next(1000), next(1001), next(1010)],
            [1000, 1001, 1002, 1003, 1010]
        );
        assert_eq!(next(711), 1011, "a clock that was set back");
        assert_eq!(next(500), 500, "one that was far ahead");
        let other =
            KeyRing::open(ContentServerId::new("OTHER").expect("an ID"), dir.path()).expect("a key ring");
        assert_eq!(other.next_preload(500).expect("a time"), 500);
        assert!(ring(dir.path()).sets().is_empty());
    }

    #[test]
    fn a_damaged_master_secret_is_an_error_and_not_a_new_one() {
        let dir = tempfile::tempdir().expect("a folder");
        drop(first(&mut ring(dir.path())));
        let folder = ring(dir.path()).folder(KeySetId::new(1).expect("k1"));
        fs::write(folder.join("raida-03"), b"damaged").expect("written");
        assert!(KeyRing::open(ContentServerId::new("CS").expect("an ID"), dir.path()).is_err());
    }
}
