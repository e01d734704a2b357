//! A data directory that belongs to one process at a time: mode 0700, locked, with the master key
//! that seals the secrets in it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rke_secret::{Secret, SecretError};
use tempfile::NamedTempFile;

use crate::sealed::Sealer;

const MASTER_KEY: &str = "master.key";
const LOCK: &str = "lock";

/// Why a data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// A file or folder cannot be made, read or written.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was being done.
        action: &'static str,
        /// To which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{0} is in use by another process; stop that one, or choose another with --data-dir")]
    InUse(PathBuf),
    /// Others may read the master key.
    #[error("{path} may be read by others (mode {mode:04o}); run `chmod 600 {path}`")]
    Exposed {
        /// The master key file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The master key is not 32 bytes.
    #[error(
        "{path} has {len} bytes instead of 32; move it away to start with a new key (what it sealed is lost)"
    )]
    DamagedMasterKey {
        /// The master key file.
        path: PathBuf,
        /// Its length.
        len: u64,
    },
    /// There is no secret memory left, or the system gave no random bytes.
    #[error(transparent)]
    Secret(#[from] SecretError),
}

/// Who else may have a data directory open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody.
    Alone,
    /// Others who share it too.
    Shared,
}

/// An open data directory. The lock lasts as long as the value.
pub struct DataDir {
    path: PathBuf,
    sealer: Sealer,
    _lock: File,
}

impl DataDir {
    /// Opens the directory, makes it (0700) and its master key (0600) where they are missing, and
    /// locks it.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn open(path: &Path, sharing: Sharing) -> Result<Self, DataDirError> {
        if sharing == Sharing::Shared && !path.join(MASTER_KEY).exists() {
            // Only one of those who share it may make the master key.
            Self::open(path, Sharing::Alone)?;
        }
        let make = DirBuilder::new().recursive(true).mode(0o700).create(path);
        make.map_err(io_error("create the data directory", path))?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&lock_path);
        let lock = lock.map_err(io_error("open", &lock_path))?;
        let locked = match sharing {
            Sharing::Alone => lock.try_lock(),
            Sharing::Shared => lock.try_lock_shared(),
        };
        match locked {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse(path.into())),
            Err(TryLockError::Error(source)) => return Err(io_error("lock", &lock_path)(source)),
        }
        let sealer = Sealer::new(open_master_key(path)?);
        Ok(Self { path: path.into(), sealer, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What seals and opens the files in it.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Writes a file (0600) in it, in place of one that is there, and gives its path. The file is
    /// there whole or not at all.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn write(
        &self,
        name: &str,
        write: impl FnOnce(&mut File) -> io::Result<()>,
    ) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        write_atomically(&self.path, &path, write).map_err(io_error("write", &path))?;
        Ok(path)
    }

    /// A folder in it, made (0700) where it is missing.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn folder(&self, name: &str) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        let make = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        make.map_err(io_error("create", &path))?;
        Ok(path)
    }
}

/// What seals the files of the data directory at `path`, for those who only look at it while another
/// process may have it. Makes nothing.
///
/// # Errors
/// [`DataDirError`], also where there is no master key.
pub fn read_sealer(path: &Path) -> Result<Sealer, DataDirError> {
    let path = path.join(MASTER_KEY);
    let file = File::open(&path).map_err(io_error("open", &path))?;
    Ok(Sealer::new(read_master_key(&file, &path)?))
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DataDirError + use<> {
    let path = path.to_path_buf();
    move |source| DataDirError::Io { action, path, source }
}

fn open_master_key(dir: &Path) -> Result<Secret<32>, DataDirError> {
    let path = dir.join(MASTER_KEY);
    match File::open(&path) {
        Ok(file) => read_master_key(&file, &path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => create_master_key(dir, &path),
        Err(error) => Err(io_error("open", &path)(error)),
    }
}

fn read_master_key(file: &File, path: &Path) -> Result<Secret<32>, DataDirError> {
    let metadata = file.metadata().map_err(io_error("read", path))?;
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DataDirError::Exposed { path: path.into(), mode });
    }
    if metadata.len() != 32 {
        return Err(DataDirError::DamagedMasterKey { path: path.into(), len: metadata.len() });
    }
    Secret::try_fill(|key| file.read_exact_at(key, 0)).map_err(io_error("read", path))
}

fn create_master_key(dir: &Path, path: &Path) -> Result<Secret<32>, DataDirError> {
    let key = Secret::<32>::random()?;
    write_atomically(dir, path, |file| key.expose(|key| file.write_all(key)))
        .map_err(io_error("write", path))?;
    Ok(key)
}

/// Writes a file that is there whole or not at all: temporary file (0600) in the same folder,
/// fsync, rename, fsync of the folder.
///
/// # Errors
/// What the system said; then what was there before is unchanged.
pub fn write_atomically(
    dir: &Path,
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let mut file = NamedTempFile::new_in(dir)?;
    write(file.as_file_mut())?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(dir)
}

/// Removes a file so that it stays removed after a power cut. A missing file is no error.
pub(crate) fn remove_durably(dir: &Path, path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => sync_folder(dir),
    }
}

fn sync_folder(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn the_same_master_key_comes_back() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("new/data");
        let first = DataDir::open(&path, Sharing::Alone).expect("a new data directory");
        drop(first);
        let before = fs::read(path.join(MASTER_KEY)).expect("a master key");
        DataDir::open(&path, Sharing::Alone).expect("the same data directory");
        assert_eq!(fs::read(path.join(MASTER_KEY)).expect("a master key"), before);
        let mode = |path: &Path| fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&path.join(MASTER_KEY))), (0o700, 0o600));
    }

    #[test]
    fn one_process_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let _first = DataDir::open(dir.path(), Sharing::Alone).expect("a data directory");
        assert!(matches!(DataDir::open(dir.path(), Sharing::Alone), Err(DataDirError::InUse(_))));
    }

    #[test]
    fn who_only_looks_needs_no_lock_and_makes_nothing() {
        let dir = tempfile::tempdir().expect("a folder");
        assert!(matches!(read_sealer(dir.path()), Err(DataDirError::Io { .. })));
        assert!(!dir.path().join(MASTER_KEY).exists());
        let open = DataDir::open(dir.path(), Sharing::Alone).expect("a data directory");
        let looked = read_sealer(dir.path()).expect("a sealer").derive(b"x").expect("a secret");
        assert!(looked.matches(&open.sealer().derive(b"x").expect("a secret")));
    }

    #[test]
    fn those_who_share_it_keep_out_who_does_not() {
        let dir = tempfile::tempdir().expect("a folder");
        let open = |sharing| DataDir::open(dir.path(), sharing);
        let (first, second) =
            (open(Sharing::Shared).expect("shared"), open(Sharing::Shared).expect("shared"));
        assert!(matches!(open(Sharing::Alone), Err(DataDirError::InUse(_))));
        drop((first, second));
        let _alone = open(Sharing::Alone).expect("exclusive");
        assert!(matches!(open(Sharing::Shared), Err(DataDirError::InUse(_))));
    }

    #[test]
    fn refuses_an_exposed_or_damaged_master_key() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join(MASTER_KEY);
        fs::write(&path, [7; 32]).expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
        assert!(matches!(DataDir::open(dir.path(), Sharing::Alone), Err(DataDirError::Exposed { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        fs::write(&path, [7; 31]).expect("written");
        assert!(matches!(
            DataDir::open(dir.path(), Sharing::Alone),
            Err(DataDirError::DamagedMasterKey { len: 31, .. })
        ));
    }
}
