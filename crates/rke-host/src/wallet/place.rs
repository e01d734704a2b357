//! The location of a wallet, and opening its folders and files: by their path, or beneath the folder in which the operator
//! keeps wallets.

use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Dir, Mode, OFlags};

use super::coin_file::regular;
use super::{COIN_FOLDERS, CoinFile, CoinFileReadError, WalletError, WalletRoot, is_coin_file};

const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY);

/// A FIFO must not block.
const COIN_FILE: OFlags = OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// A wallet, by its name. None of its files are open.
#[derive(Debug, Clone)]
pub struct Wallet {
    /// Relative to the root, if it has one.
    path: PathBuf,
    root: Option<Arc<WalletRoot>>,
}

/// Why a file or folder of a wallet cannot be opened.
#[derive(Debug)]
pub(super) enum OpenError {
    /// It is outside the root. Whether it exists is unknown.
    Outside,
    /// The system's error.
    Io(io::Error),
}

impl Wallet {
    /// The one at this path, which may lead anywhere.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), root: None }
    }

    pub(super) fn beneath(root: Arc<WalletRoot>, path: PathBuf) -> Self {
        Self { path, root: Some(root) }
    }

    /// Its whole path, for messages.
    pub(super) fn path(&self) -> PathBuf {
        self.root.as_ref().map_or_else(|| self.path.clone(), |root| root.path_of(&self.path))
    }

    /// The error for a file system that takes too long.
    pub fn timed_out(&self) -> WalletError {
        WalletError::Unreadable { path: self.path(), source: io::ErrorKind::TimedOut.into() }
    }

    /// Checks that it can be a wallet: absolute, a folder, readable.
    ///
    /// # Errors
    /// [`WalletError`].
    pub fn check(&self) -> Result<(), WalletError> {
        if self.root.is_none() && !self.path.is_absolute() {
            return Err(WalletError::NotAbsolute(self.path()));
        }
        self.open(Path::new(""), FOLDER).map(drop).map_err(|error| match error {
            OpenError::Outside => WalletError::Outside,
            OpenError::Io(error) if error.kind() == io::ErrorKind::NotADirectory => {
                WalletError::NotAFolder(self.path())
            }
            OpenError::Io(source) => WalletError::Unreadable { path: self.path(), source },
        })
    }

    /// The `.bin` files of its coin folders, by name. A folder that is missing or unreadable has none.
    ///
    /// # Errors
    /// [`WalletError::Outside`], instead of the files of a folder outside the root.
    pub(super) fn coin_files(&self) -> impl Iterator<Item = Result<PathBuf, WalletError>> {
        COIN_FOLDERS.iter().flat_map(|folder| match self.list(Path::new(folder)) {
            Ok(files) => files.into_iter().map(Ok).collect(),
            Err(OpenError::Io(_)) => Vec::new(),
            Err(OpenError::Outside) => vec![Err(WalletError::Outside)],
        })
    }

    fn list(&self, folder: &Path) -> Result<Vec<PathBuf>, OpenError> {
        let entries = Dir::read_from(self.open(folder, FOLDER)?).map_err(io::Error::from)?;
        let path = |entry: rustix::fs::DirEntry| {
            folder.join(std::ffi::OsStr::from_bytes(entry.file_name().to_bytes()))
        };
        let paths = entries.flatten().map(path);
        let mut files: Vec<PathBuf> = paths.filter(|path| is_coin_file(path)).collect();
        files.sort();
        Ok(files)
    }

    /// Opens one of its coin files.
    pub(super) fn open_coin_file(&self, file: &Path) -> Result<CoinFile, CoinFileReadError> {
        CoinFile::read(regular(self.open(file, COIN_FILE)?)?)
    }

    fn open(&self, inner: &Path, flags: OFlags) -> Result<File, OpenError> {
        let path = self.path.join(inner);
        match &self.root {
            Some(root) => root.open_beneath(&path, flags),
            None => Ok(File::from(
                rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty()).map_err(io::Error::from)?,
            )),
        }
    }
}

impl From<io::Error> for OpenError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<OpenError> for CoinFileReadError {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Outside => Self::Outside,
            OpenError::Io(error) => Self::Io(error),
        }
    }
}
