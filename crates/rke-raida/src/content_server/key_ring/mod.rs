//! The key sets of a Content Server on disk: a sealed folder for each, appearing whole or not at all,
//! with a file in it that says when the key set retires. One process serves from it while another
//! adds to it.

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
use rke_proto::{ContentServerId, Form, KeySetId};

use super::{ContentServerError, MasterSecrets, PreloadReport};
use crate::clock::unix_seconds;
use crate::replay::WINDOW_SECONDS;

/// How the names of key sets' folders begin.
const FOLDERS: &str = "master-secrets-";
/// In a key set's folder: the RAIDAs have it.
const PRELOADED: &str = "preloaded";
/// The Unix time of the last preload, in the data directory, and behind a dash the ID's.
const LAST_PRELOAD: &str = "last-preload";
/// In a key set's folder: the Unix time from which it is no longer served.
const RETIRES_AT: &str = "retires-at";
/// In a key set's folder: it is for narrow shares, and for nothing else. It says for which form: handshake 3, or, where it is
/// empty, the live one.
const NARROW: &str = "narrow-shares";

/// A key set and until when it is served.
#[derive(Clone)]
pub struct ServedKeySet {
    /// Its master secrets.
    pub secrets: Arc<MasterSecrets>,
    /// What it is for, which is one form alone. `docs/protocol.md` section 6.
    pub form: Form,
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
    /// Opens what is there, while other processes may do the same. Refuses key sets without the master key.
    ///
    /// # Errors
    /// [`ContentServerError`].
    pub fn open(cs_id: ContentServerId, path: &Path) -> Result<Self, ContentServerError> {
        data_dir::check(path, Role::ContentServer)?;
        if let Some(sealed) = first_key_set(path) {
            data_dir::expect_master_key(path, &sealed)?;
        }
        let data_dir = DataDir::open(path, Role::ContentServer, Sharing::Shared)?;
        let mut ring = Self { cs_id, data_dir, sets: Vec::new() };
        ring.refresh()?;
        Ok(ring)
    }

    /// Takes in what others have added and when they want it retired. A damaged key set that has retired is moved aside.
    ///
    /// # Errors
    /// [`ContentServerError`]; what was known stays.
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
        // Only now that the others are known to be good: the master key is the right one.
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

    /// The key sets, the lowest number first.
    pub fn sets(&self) -> &[ServedKeySet] {
        &self.sets
    }

    /// The key set of this number; where there is none, new master secrets for sessions of this form.
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

    /// The key set to rotate to, next to the existing ones: one that the RAIDAs do not have yet, left by a rotation that failed,
    /// or a new one.
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

    /// Whether it is one of a rotation that failed.
    fn is_left_behind(&self, key_set: KeySetId) -> bool {
        self.form(key_set) == Form::Wide && !self.folder(key_set).join(PRELOADED).exists()
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
        let preloading = match self.form(secrets.key_set()) {
            Form::Live | Form::Handshake3Narrow => Preloading::Public,
            Form::Wide => Preloading::Dated(self.next_preload(unix_seconds())?),
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
        self.data_dir.write(&name, |file| file.write_all(next.to_string().as_bytes()))?;
        Ok(next)
    }

    /// Notes that the RAIDAs have a key set.
    ///
    /// # Errors
    /// [`ContentServerError::Files`].
    pub fn note_preloaded(&self, key_set: KeySetId) -> Result<(), ContentServerError> {
        self.write(key_set, PRELOADED, "")
    }

    /// What a key set is for; one that is not there would be for wide shares.
    pub fn form(&self, key_set: KeySetId) -> Form {
        self.set(key_set).map_or(Form::Wide, |set| set.form)
    }

    fn set(&self, key_set: KeySetId) -> Option<&ServedKeySet> {
        self.sets.iter().find(|set| set.secrets.key_set() == key_set)
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
        let entries = fs::read_dir(self.data_dir.path()).map_err(files(self.data_dir.path()))?;
        let names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
        let prefix = self.prefix();
        let mut ids: Vec<KeySetId> =
            names.filter_map(|name| KeySetId::parse(name.strip_prefix(&prefix)?)).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}

/// Notes what a key set is for, before it is there: an attempt that did not come to its end may have left something else.
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

/// What the key set in a folder is for.
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

/// The folder of a key set of any Content Server ID, if there is one.
fn first_key_set(data_dir: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(data_dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let is_key_set = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(FOLDERS) && path.extension().is_none()
    };
    folders.into_iter().find(is_key_set)
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
