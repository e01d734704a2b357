//! A data directory that belongs to one process at a time: mode 0700, locked, with the master key
//! that seals the secrets in it, and a file that records its owner. Like `ssh`, it uses nothing that belongs to another
//! user or that others may write to.

mod error;
mod fault;
mod role;

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rke_secret::Secret;
use rustix::process::geteuid;

pub use self::error::DataDirError;
use self::error::io_error;
pub use self::fault::write_fault;
pub use self::role::Role;
use crate::durable::{sync_folder, write_atomically, write_new};
use crate::own_file::{is_open_to_others, is_trusted, open_own, read_own_text};
use crate::sealed::Sealer;

const MASTER_KEY: &str = "master.key";
const LOCK: &str = "lock";
const ROLE: &str = "role";

/// The folder for unreadable files.
const DAMAGED: &str = "damaged";

/// Who else may have a data directory open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Nobody.
    Alone,
    /// Other processes that share it.
    Shared,
}

/// An open data directory. The lock lasts as long as the value.
pub struct DataDir {
    path: PathBuf,
    sealer: Sealer,
    _lock: Lock,
}

/// The lock of a directory. Closing its file is not enough to release it: a command that another thread is starting at that moment
/// has the file too, for as long as it takes to start.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Where this fails, the close that follows has to do.
        let _ = self.0.unlock();
    }
}

impl DataDir {
    /// Opens the directory of this role, makes it (0700) and its master key (0600) if they are missing, and
    /// locks it.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn open(path: &Path, role: Role, sharing: Sharing) -> Result<Self, DataDirError> {
        claim(path, role)?;
        if sharing == Sharing::Shared && !path.join(MASTER_KEY).exists() {
            // Only one of the processes that share it may make the master key.
            Self::open(path, role, Sharing::Alone)?;
        }
        let lock_path = path.join(LOCK);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = Lock(open_own(&lock_path, &mut options).map_err(io_error("open", &lock_path))?);
        let locked = match sharing {
            Sharing::Alone => lock.0.try_lock(),
            Sharing::Shared => lock.0.try_lock_shared(),
        };
        match locked {
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Err(DataDirError::InUse(path.into())),
            Err(TryLockError::Error(source)) => return Err(io_error("lock", &lock_path)(source)),
        }
        let sealer = Sealer::new(open_master_key(path)?, role.file_kind());
        Ok(Self { path: path.into(), sealer, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sealer for the files in it.
    pub fn sealer(&self) -> &Sealer {
        &self.sealer
    }

    /// Writes or replaces a file (0600) in it, whole or not at all, and returns its path.
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

    /// A folder in it, made (0700) if it is missing.
    ///
    /// # Errors
    /// [`DataDirError::Io`].
    pub fn folder(&self, name: &str) -> Result<PathBuf, DataDirError> {
        let path = self.path.join(name);
        let make = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        make.map_err(io_error("create", &path))?;
        check_folder(&path, &path.symlink_metadata().map_err(io_error("look at", &path))?)?;
        Ok(path)
    }

    /// Moves an unreadable file or folder to the folder `damaged`, and returns its new path. The program never removes
    /// anything from there, so that the operator can inspect it.
    ///
    /// # Errors
    /// [`DataDirError`]; then nothing has moved.
    pub fn set_aside(&self, path: &Path) -> Result<PathBuf, DataDirError> {
        self.move_to(DAMAGED, path)
    }

    /// Moves a file or folder to a folder of the directory, under a free name, and returns its new path.
    ///
    /// # Errors
    /// [`DataDirError`]; then nothing has moved.
    pub fn move_to(&self, folder: &str, path: &Path) -> Result<PathBuf, DataDirError> {
        let folder = self.folder(folder)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let names = (1..).map(|number| format!("{name}.{number}"));
        let free = |aside: &PathBuf| aside.symlink_metadata().is_err();
        let mut asides = std::iter::once(name.to_string()).chain(names).map(|name| folder.join(name));
        let aside = asides.find(free).unwrap_or_else(|| folder.clone());
        let moved = fs::rename(path, &aside).and_then(|()| sync_folder(&folder));
        let moved = moved.and_then(|()| sync_folder(path.parent().unwrap_or(&self.path)));
        moved.map_err(io_error("move aside", path))?;
        Ok(aside)
    }
}

/// Fails if the master key of the directory at `path`, which has sealed the file or folder `sealed`, is missing. Call it
/// before [`DataDir::open`], which would make a new one.
///
/// # Errors
/// [`DataDirError::NoMasterKey`].
pub fn expect_master_key(path: &Path, sealed: &Path) -> Result<(), DataDirError> {
    let path = path.join(MASTER_KEY);
    match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(DataDirError::NoMasterKey { path, sealed: sealed.into() })
        }
        _ => Ok(()),
    }
}

/// Makes the directory (0700) if it is missing, and ensures that it belongs to this role: a directory without a recorded
/// owner is recorded as this role's.
///
/// # Errors
/// [`DataDirError`].
pub fn claim(path: &Path, role: Role) -> Result<(), DataDirError> {
    let make = DirBuilder::new().recursive(true).mode(0o700).create(path);
    make.map_err(io_error("create the data directory", path))?;
    if find(path, role)?.is_none() {
        let file = path.join(ROLE);
        let write = |file: &mut File| file.write_all(role.to_text().as_bytes());
        match write_new(path, &file, write) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => (),
            written => written.map_err(io_error("write", &file))?,
        }
        // Another process may have been faster.
        check(path, role)?;
    }
    Ok(())
}

/// Checks, without changing anything, whether the directory can be this role's. A missing directory can be, and so can one
/// without a recorded owner.
///
/// # Errors
/// [`DataDirError`].
pub fn check(path: &Path, role: Role) -> Result<(), DataDirError> {
    find(path, role).map(drop)
}

/// The recorded owner of the directory, if that is this role or nobody.
fn find(path: &Path, role: Role) -> Result<Option<Role>, DataDirError> {
    match read_role(path)? {
        Some(found) if found != role => {
            Err(DataDirError::OtherRole { path: path.into(), found, wanted: role })
        }
        found => Ok(found),
    }
}

/// The recorded owner of the directory; `None` if it is missing or records none. Changes nothing.
///
/// # Errors
/// [`DataDirError`].
pub fn read_role(path: &Path) -> Result<Option<Role>, DataDirError> {
    match fs::metadata(path) {
        Ok(about) => check_folder(path, &about)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("look at", path)(error)),
    }
    let path = path.join(ROLE);
    match read_own_text(&path) {
        Ok(text) => Role::parse(&text).map(Some).ok_or(DataDirError::UnknownRole { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error("read", &path)(error)),
    }
}

fn check_folder(path: &Path, about: &Metadata) -> Result<(), DataDirError> {
    let owner = about.uid();
    if !about.is_dir() {
        return Err(io_error("use", path)(io::ErrorKind::NotADirectory.into()));
    }
    if !is_trusted(owner) {
        return Err(DataDirError::Foreign { path: path.into(), owner, own: geteuid().as_raw() });
    }
    if is_open_to_others(about) {
        return Err(DataDirError::Writable { path: path.into(), mode: about.mode() & 0o7777 });
    }
    Ok(())
}

/// The sealer of this role's data directory at `path`, for readers; another process may have the directory open. Changes
/// nothing.
///
/// # Errors
/// [`DataDirError`], also if it has no master key.
pub fn read_sealer(path: &Path, role: Role) -> Result<Sealer, DataDirError> {
    check(path, role)?;
    let path = path.join(MASTER_KEY);
    let file = open_own(&path, OpenOptions::new().read(true)).map_err(io_error("open", &path))?;
    Ok(Sealer::new(read_master_key(&file, &path)?, role.file_kind()))
}

fn open_master_key(dir: &Path) -> Result<Secret<32>, DataDirError> {
    let path = dir.join(MASTER_KEY);
    match open_own(&path, OpenOptions::new().read(true)) {
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

#[cfg(test)]
mod tests;
