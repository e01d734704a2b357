//! The file with the keys of the store: 32 raw bytes each, one after the other, and nothing else. The first key seals,
//! each opens. All nodes have the same file. `docs/store-format.md` section 1.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use rke_host::audit::AuditTags;
use rke_host::durable::{write_atomically, write_new};
use rke_host::own_file::open_own;
use rke_secret::{Secret, SecretError};

use crate::name::{DomainTag, Id, KeyTag, Kind, Name};
use crate::sealing::StoreKey;

/// Length of a key.
const KEY_LEN: u64 = 32;

/// The most keys in a file. Each unknown id is looked up under each of them.
pub const MAX_KEYS: usize = 8;

/// Why a key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// It does not exist.
    #[error(
        "the key file {0} does not exist. Make one with `rke store key {0}` and copy it to all machines that share the store"
    )]
    Missing(PathBuf),
    /// The system refused to read or write it, or it belongs to another user.
    #[error("cannot {action} the key file {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Others may read it.
    #[error("others may read the key file {path} (mode {mode:04o}). Run `chmod 600 {path}`")]
    Exposed { path: PathBuf, mode: u32 },
    /// It does not consist of whole keys.
    #[error(
        "the key file {path} has {len} bytes, and it should have 32 for each key and nothing else. Copy it again from another \
         machine, as a binary file"
    )]
    Damaged { path: PathBuf, len: u64 },
    /// It has more keys than can be in use.
    #[error(
        "the key file {path} has {count} keys, and {MAX_KEYS} are allowed. Run `rke store key {path} --rotate --store URL`, which removes \
         those that no record needs"
    )]
    TooMany { path: PathBuf, count: usize },
    /// Secret memory is full, or the system gave no random bytes.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// The keys of a file, in its order.
pub struct StoreKeys {
    first: StoreKey,
    others: Vec<StoreKey>,
}

/// What was done to a key file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// The keys that it has now.
    pub keys: usize,
    /// How many were removed because no record needs them.
    pub removed: usize,
}

/// Reads the keys.
///
/// # Errors
/// [`KeyFileError`].
pub fn read(path: &Path) -> Result<StoreKeys, KeyFileError> {
    let keys = read_raw(path)?;
    let mut derived = keys.iter().map(StoreKey::new);
    let first = derived.next().unwrap_or_else(|| unreachable!("a key file has a key"))?;
    Ok(StoreKeys { first, others: derived.collect::<Result<_, _>>()? })
}

/// The tags of sessions in audit logs, by the key in use.
///
/// # Errors
/// [`KeyFileError`].
pub fn read_audit_tags(path: &Path) -> Result<AuditTags, KeyFileError> {
    Ok(read(path)?.audit_tags()?)
}

/// Makes the file with one key, or puts a new key in front of those that it has. Until the other machines have the file too, they
/// cannot open what this key seals.
///
/// # Errors
/// [`KeyFileError`]; then the file is unchanged.
pub fn add_key(path: &Path) -> Result<Rotated, KeyFileError> {
    rotate(path, |_| true)
}

/// As [`add_key`], and removes the keys that no record in the store needs. The key that has
/// sealed until now always stays: another machine may be using it at this moment.
///
/// # Errors
/// [`KeyFileError`]; then the file is unchanged.
pub fn rotate(path: &Path, is_needed: impl Fn(KeyTag) -> bool) -> Result<Rotated, KeyFileError> {
    let mut keys = match read_raw(path) {
        Err(KeyFileError::Missing(_)) => Vec::new(),
        keys => keys?,
    };
    let before = keys.len();
    let mut place = 0;
    keys.retain(|key| {
        place += 1;
        place == 1 || StoreKey::new(key).is_ok_and(|key| is_needed(key.tag()))
    });
    let removed = before - keys.len();
    keys.insert(0, Secret::random()?);
    if keys.len() > MAX_KEYS {
        return Err(KeyFileError::TooMany { path: path.into(), count: keys.len() });
    }
    write(path, &keys, before == 0)?;
    Ok(Rotated { keys: keys.len(), removed })
}

impl StoreKeys {
    /// The key that seals.
    pub(crate) fn sealing(&self) -> &StoreKey {
        &self.first
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &StoreKey> {
        std::iter::once(&self.first).chain(&self.others)
    }

    /// The key that opens what says that this key has sealed it.
    pub(crate) fn opening(&self, tag: KeyTag) -> Option<&StoreKey> {
        self.all().find(|key| key.tag() == tag)
    }

    /// What the store may call the record of this id, by each key.
    pub(crate) fn names(&self, kind: Kind, id: &Id) -> Vec<Name> {
        self.all().map(|key| key.name(kind, id)).collect()
    }

    /// What the store may call this domain, by each key.
    pub(crate) fn domain_tags(&self, domain: &str) -> Vec<DomainTag> {
        self.all().map(|key| key.domain_tag(domain)).collect()
    }

    /// The tags of sessions in audit logs, which are the same on all nodes.
    ///
    /// # Errors
    /// [`SecretError`] if no secret memory is left.
    pub fn audit_tags(&self) -> Result<AuditTags, SecretError> {
        self.first.audit_tags()
    }

    /// The tags by each key: the one in use first, then those that were in use before.
    ///
    /// # Errors
    /// [`SecretError`] if no secret memory is left.
    pub fn audit_tags_of_all(&self) -> Result<Vec<AuditTags>, SecretError> {
        self.all().map(StoreKey::audit_tags).collect()
    }
}

fn read_raw(path: &Path) -> Result<Vec<Secret<32>>, KeyFileError> {
    let file = open_own(path, OpenOptions::new().read(true)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => KeyFileError::Missing(path.into()),
        _ => io_error("open", path)(error),
    })?;
    let about = file.metadata().map_err(io_error("read", path))?;
    let (mode, len) = (about.mode() & 0o7777, about.len());
    if mode & 0o077 != 0 {
        return Err(KeyFileError::Exposed { path: path.into(), mode });
    }
    if len == 0 || len % KEY_LEN != 0 {
        return Err(KeyFileError::Damaged { path: path.into(), len });
    }
    let count = len / KEY_LEN;
    if count > MAX_KEYS as u64 {
        return Err(KeyFileError::TooMany { path: path.into(), count: count as usize });
    }
    let read = |at: u64| Secret::try_fill(|key| file.read_exact_at(key, at * KEY_LEN));
    (0..count).map(|at| read(at).map_err(io_error("read", path))).collect()
}

/// Writes the keys, and overwrites the file that they replace.
fn write(path: &Path, keys: &[Secret<32>], is_new: bool) -> Result<(), KeyFileError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let write_keys =
        |file: &mut File| keys.iter().try_for_each(|key| key.expose(|bytes| file.write_all(bytes)));
    if is_new {
        return write_new(dir, path, write_keys).map_err(io_error("write", path));
    }
    let replaced = open_own(path, OpenOptions::new().write(true)).map_err(io_error("write", path))?;
    write_atomically(dir, path, write_keys).map_err(io_error("write", path))?;
    overwrite(&replaced).map_err(io_error("overwrite the replaced copy of", path))
}

/// Overwrites keys that left the file, as far as the file system writes in place.
fn overwrite(file: &File) -> io::Result<()> {
    let len = file.metadata()?.len();
    file.write_all_at(&vec![0; len as usize], 0)?;
    file.sync_all()
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> KeyFileError {
    move |source| KeyFileError::Io { action, path: path.into(), source }
}

#[cfg(test)]
mod tests;
