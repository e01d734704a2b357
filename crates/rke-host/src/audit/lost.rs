//! How many lost events the log has not reported yet, in a file of the data directory (`audit.lost`): a restart forgets
//! none. The file has one length for every count and is written in place, because a full disk has room for that.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::data_dir::DataDir;
use crate::own_file::{open_own, read_own};

/// The file, in the data directory.
const LOST: &str = "audit.lost";

/// The open file.
pub(super) struct LostFile {
    file: File,
    /// The count in it.
    count: u64,
}

impl LostFile {
    /// Opens the file or makes it. One that holds no count is kept aside. `None` if another process keeps a log with this
    /// data directory.
    pub(super) fn open(data_dir: &DataDir) -> io::Result<Option<Self>> {
        let path = data_dir.path().join(LOST);
        let count = match read(data_dir.path()) {
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                let aside = data_dir.set_aside(&path).map_err(io::Error::other)?;
                let aside = aside.display();
                tracing::error!(%aside, "how many events the audit log lost before this start is unknown: the file was damaged");
                None
            }
            count => count?,
        };
        if count.is_none() {
            data_dir.write(LOST, |file| file.write_all(text(0).as_bytes())).map_err(io::Error::other)?;
        }
        let file = open_own(&path, OpenOptions::new().write(true))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file, count: count.unwrap_or(0) })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Replaces the count, durably.
    pub(super) fn set(&mut self, count: u64) -> io::Result<()> {
        if count == self.count {
            return Ok(());
        }
        self.file.write_all_at(text(count).as_bytes(), 0)?;
        self.file.sync_data()?;
        self.count = count;
        Ok(())
    }
}

/// The count in the data directory at `path`; `None` if it has no such file.
///
/// # Errors
/// The system's; [`io::ErrorKind::InvalidData`] if the file holds no count.
pub(super) fn read(path: &Path) -> io::Result<Option<u64>> {
    let bytes = match read_own(&path.join(LOST)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes?,
    };
    let digits = str::from_utf8(&bytes).ok().and_then(|text| text.strip_suffix('\n'));
    let count = digits.and_then(|digits| digits.parse().ok());
    count.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it holds no count"))
}

fn text(count: u64) -> String {
    format!("{count:020}\n")
}
