//! The key sets of a Content Server on disk: a sealed folder for each, which appears whole or not at all, with a file
//! that says when the key set retires. One process serves from it while another adds to it.

mod listing;
mod preloaded;

use rke_host::durable::write_atomically;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rke_host::data_dir::{self, DataDir, Role, Sharing};
use rke_host::own_file::read_own_text;
use rke_proto::command::Preloading;
use rke_proto::directory::Directory;
use rke_proto::{Bitmap, ContentServerId, Form, KeySetId};

pub use self::listing::{ListedKeySet, list_key_sets};
pub use self::preloaded::Preloaded;
use super::{ContentServerError, MasterSecrets, PreloadReport};
use crate::clock::unix_seconds;
use crate::replay::WINDOW_SECONDS;

/// How the names of key sets' folders begin.
const FOLDERS: &str = "master-secrets-";
/// In a key set's folder: which RAIDAs hold it, and since when.
const PRELOADED: &str = "preloaded";
/// In the data directory: the Unix time of the last preload, followed by a dash and the Content Server ID.
const LAST_PRELOAD: &str = "last-preload";
/// In a key set's folder: the Unix time when serving it ends.
const RETIRES_AT: &str = "retires-at";
/// In a key set's folder: it serves narrow shares only. The content says in which form: handshake 3, or the live one
/// if the file is empty.
const NARROW: &str = "narrow-shares";

/// A key set, and until when it is served.
#[derive(Clone)]
pub struct ServedKeySet {
    pub secrets: Arc<MasterSecrets>,
    /// The one form of session that it serves. `docs/protocol.md` section 6.
    pub form: Form,
    /// In Unix seconds. `None`: indefinitely.
    pub retires_at: Option<u64>,
}

/// All key sets of one Content Server ID in a data directory.
pub struct KeyRing {
    cs_id: ContentServerId,
    data_dir: Arc<DataDir>,
    sets: Vec<ServedKeySet>,
}

impl KeyRing {
    /// Opens the existing key sets, while other processes may do the same. Refuses key sets without the master key.
    ///
    /// # Errors
    /// [`ContentServerError`].
    pub fn open(cs_id: ContentServerId, path: &Path) -> Result<Self, ContentServerError> {
        data_dir::check(path, Role::ContentServer)?;
        if let Some(sealed) = first_key_set(path) {
            data_dir::expect_master_key(path, &sealed)?;
        }
        let data_dir = Arc::new(DataDir::open(path, Role::ContentServer, Sharing::Shared)?);
        let mut ring = Self { cs_id, data_dir, sets: Vec::new() };
        ring.refresh()?;
        Ok(ring)
    }

    /// Reads key sets and retirements that other processes have added. A damaged key set that has retired is moved
    /// aside.
    ///
    /// # Errors
    /// [`ContentServerError`]; then the ring is unchanged.
    pub fn refresh(&mut self) -> Result<(), ContentServerError> {
        let (mut sets, mut damaged) = (Vec::new(), Vec::new());
        for key_set in self.key_set_ids()? {
            let folder = self.folder(key_set);
            let retires_at = read_time(&folder.join(RETIRES_AT))?;
            let has_retired = retires_at.is_some_and(|at| at <= unix_seconds());
            let known = self.sets.iter().find(|set| set.secrets.key_set() == key_set);
            let secrets = match known {
                Some(set) => Arc::clone(&set.secrets),
                None => match MasterSecrets::open(self.cs_id, key_set, &self.data_dir, &folder) {
                    Ok(secrets) => Arc::new(secrets),
                    Err(error) if has_retired && error.is_damage() => {
                        damaged.push((folder, error));
                        continue;
                    }
                    Err(error) => return Err(error),
                },
            };
            sets.push(ServedKeySet { secrets, form: read_form(&folder)?, retires_at });
        }
        // Only now: the good key sets have proved that the master key is the right one.
        damaged.iter().for_each(|(folder, why)| self.set_aside(folder, why));
        self.sets = sets;
        Ok(())
    }

    fn set_aside(&self, folder: &Path, why: &ContentServerError) {
        match self.data_dir.set_aside(folder) {
            Ok(aside) => tracing::warn!(
                folder = %folder.display(), aside = %aside.display(), %why,
                "a key set that has retired cannot be used, and was moved aside"
            ),
            Err(error) => tracing::warn!(%why, %error, "a key set that has retired cannot be used"),
        }
    }

    /// The Content Server ID.
    pub(crate) fn cs_id(&self) -> ContentServerId {
        self.cs_id
    }

    /// The data directory.
    pub(crate) fn data_dir(&self) -> &Arc<DataDir> {
        &self.data_dir
    }

    /// The key sets, the lowest number first.
    pub fn sets(&self) -> &[ServedKeySet] {
        &self.sets
    }

    /// The key set with this number. If none exists, new master secrets for sessions of this form.
    ///
    /// # Errors
    /// [`ContentServerError`].
    pub fn open_or_make(
        &mut self,
        key_set: KeySetId,
        form: Form,
    ) -> Result<Arc<MasterSecrets>, ContentServerError> {
        if let Some(set) = self.set(key_set) {
            return Ok(Arc::clone(&set.secrets));
        }
        let secrets = MasterSecrets::random(self.cs_id, key_set)?;
        let (folder, unfinished) = (self.folder(key_set), self.folder_name(key_set) + ".new");
        let unfinished = self.data_dir.folder(&unfinished)?;
        secrets.write(&self.data_dir, &unfinished)?;
        note_form(&unfinished, form).map_err(files(&unfinished))?;
        let moved = fs::rename(&unfinished, &folder).and_then(|()| sync(self.data_dir.path()));
        moved.map_err(files(&folder))?;
        self.refresh()?;
        Ok(Arc::new(secrets))
    }

    /// The key set to rotate to, in addition to the existing ones: a new one, or one that a failed rotation left and
    /// that the RAIDAs do not hold yet.
    ///
    /// # Errors
    /// [`ContentServerError`].
    pub fn next_key_set(&mut self) -> Result<Arc<MasterSecrets>, ContentServerError> {
        let newest = self.sets.last().map(|set| set.secrets.key_set());
        let next = match newest {
            Some(newest) if self.is_left_behind(newest) => newest.get(),
            Some(newest) => newest.get().checked_add(1).ok_or(ContentServerError::NoKeySetLeft)?,
            None => return Err(ContentServerError::NoKeySet(self.data_dir.path().into())),
        };
        self.open_or_make(KeySetId::new(next).ok_or(ContentServerError::NoKeySetLeft)?, Form::Wide)
    }

    /// Whether a failed rotation left it.
    fn is_left_behind(&self, key_set: KeySetId) -> bool {
        self.form(key_set) == Form::Wide && !self.was_preloaded(key_set)
    }

    /// Whether a preload of it has succeeded: clients that find its records can open sessions.
    pub fn was_preloaded(&self, key_set: KeySetId) -> bool {
        self.folder(key_set).join(PRELOADED).exists()
    }

    /// Preloads a key set for the shares that it serves, one of wide shares as the latest. `docs/protocol.md` section
    /// 5.
    ///
    /// # Errors
    /// [`ContentServerError`], if nothing could be sent at all.
    pub async fn preload(
        &self,
        secrets: &MasterSecrets,
        directory: &Directory,
        wallet: &Path,
        timeout: Duration,
    ) -> Result<PreloadReport, ContentServerError> {
        let preloading = match self.form(secrets.key_set()) {
            Form::Live | Form::Handshake3Narrow => Preloading::Public,
            Form::Wide => Preloading::Dated(self.next_preload(unix_seconds())?),
        };
        secrets.preload(directory, wallet, preloading, timeout).await
    }

    /// The timestamp of a preload that is made at `now`. RAIDAs accept only a later one than the last, and two
    /// preloads may happen in the same second. A last timestamp too far in the future to have been accepted does not
    /// count.
    fn next_preload(&self, now: u64) -> Result<u64, ContentServerError> {
        let name = format!("{LAST_PRELOAD}-{}", hex::encode(self.cs_id.padded()));
        let path = self.data_dir.path().join(&name);
        let last = read_time(&path)?.filter(|last| *last <= now.saturating_add(WINDOW_SECONDS));
        let next = last.map_or(now, |last| now.max(last.saturating_add(1)));
        self.data_dir.write(&name, |file| file.write_all(next.to_string().as_bytes()))?;
        Ok(next)
    }

    /// Notes that these RAIDAs, enough of them, have confirmed at `now`, in Unix seconds, that they hold a key set.
    ///
    /// # Errors
    /// [`ContentServerError::Files`].
    pub fn note_preloaded(
        &self,
        key_set: KeySetId,
        raidas: Bitmap,
        now: u64,
    ) -> Result<(), ContentServerError> {
        let mut preloaded = read_preloaded(&self.folder(key_set))?.unwrap_or_default();
        preloaded.note(raidas, now);
        self.write(key_set, PRELOADED, &preloaded.to_text())
    }

    /// The form that a key set serves; a key set that does not exist would serve wide shares.
    pub fn form(&self, key_set: KeySetId) -> Form {
        self.set(key_set).map_or(Form::Wide, |set| set.form)
    }

    fn set(&self, key_set: KeySetId) -> Option<&ServedKeySet> {
        self.sets.iter().find(|set| set.secrets.key_set() == key_set)
    }

    /// Retires every lower key set at a time, unless it retires earlier.
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
        let write = |file: &mut fs::File| file.write_all(text.as_bytes());
        write_atomically(&folder, &path, write).map_err(files(&path))
    }

    fn folder_name(&self, key_set: KeySetId) -> String {
        format!("{}{key_set}", self.prefix())
    }

    fn folder(&self, key_set: KeySetId) -> PathBuf {
        self.data_dir.path().join(self.folder_name(key_set))
    }

    fn prefix(&self) -> String {
        format!("{FOLDERS}{}-", hex::encode(self.cs_id.padded()))
    }

    fn key_set_ids(&self) -> Result<Vec<KeySetId>, ContentServerError> {
        let (names, prefix) = (names_in(self.data_dir.path())?, self.prefix());
        let mut ids: Vec<KeySetId> =
            names.iter().filter_map(|name| KeySetId::parse(name.strip_prefix(&prefix)?)).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

/// The names of what is in a folder.
fn names_in(folder: &Path) -> Result<Vec<String>, ContentServerError> {
    let entries = fs::read_dir(folder).map_err(files(folder))?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Records the form of a key set before making it: an interrupted attempt may have left a different one.
fn note_form(folder: &Path, form: Form) -> io::Result<()> {
    let path = folder.join(NARROW);
    let write = |text: &str| write_atomically(folder, &path, |file| file.write_all(text.as_bytes()));
    match form {
        Form::Live => write(""),
        Form::Handshake3Narrow => write(form.name()),
        Form::Wide => match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        },
    }
}

/// The form that the key set in a folder serves.
fn read_form(folder: &Path) -> Result<Form, ContentServerError> {
    let path = folder.join(NARROW);
    match read_own_text(&path) {
        Ok(text) if text.trim().is_empty() => Ok(Form::Live),
        Ok(text) if text.trim() == Form::Handshake3Narrow.name() => Ok(Form::Handshake3Narrow),
        Ok(_) => {
            let what = "it is neither empty nor `handshake-3-narrow`";
            Err(files(&path)(io::Error::new(io::ErrorKind::InvalidData, what)))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Form::Wide),
        Err(error) => Err(files(&path)(error)),
    }
}

/// The folder of a key set of any Content Server ID, if one exists.
fn first_key_set(data_dir: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(data_dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_key_set = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(FOLDERS) && path.extension().is_none()
    };
    folders.into_iter().find(is_key_set)
}

/// Where the key set in a folder is preloaded. `None` if too few RAIDAs have confirmed it yet.
fn read_preloaded(folder: &Path) -> Result<Option<Preloaded>, ContentServerError> {
    let path = folder.join(PRELOADED);
    match read_own_text(&path) {
        Ok(text) => match Preloaded::parse(&text) {
            Some(preloaded) => Ok(Some(preloaded)),
            None => {
                let what = "it does not say where the key set is preloaded";
                Err(files(&path)(io::Error::new(io::ErrorKind::InvalidData, what)))
            }
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(files(&path)(error)),
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
mod tests;
