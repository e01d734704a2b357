//! The audit log's file. It is opened at its end, which may be torn or changed. A copy of the last line in the data
//! directory (`audit.head`) reveals a file that was cut.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rke_secret::SecretError;
use serde::Serialize;

use super::event::{Entry, Mark};
use super::key::{AuditKey, AuditTags};
use super::line::{self, Line, sha256_hex};
use super::position::Position;
use crate::data_dir::DataDir;
use crate::own_file::{open_own, read_own};

/// The copy of the last line, in the data directory.
pub(super) const HEAD: &str = "audit.head";

/// Longer than any line. `End` reads twice this much of the end of a file.
pub(super) const MAX_LINE_LEN: usize = 64 * 1024;

/// The log file, and the end of its chain.
pub(super) struct LogFile {
    path: PathBuf,
    data_dir: Arc<DataDir>,
    key: AuditKey,
    tags: AuditTags,
    /// `None` after an error: the next line opens the file again.
    open: Option<Open>,
    last: Position,
    last_line: Vec<u8>,
    /// The position of the copy in the data directory.
    kept: Position,
}

struct Open {
    file: File,
    /// The length of the file after this log's last write.
    len: u64,
}

impl LogFile {
    /// Opens the file or creates it. The outer error is about the key, the inner one about the file.
    pub(super) fn open(path: &Path, data_dir: Arc<DataDir>) -> Result<io::Result<Self>, SecretError> {
        let (key, tags) = (AuditKey::of(data_dir.sealer())?, AuditTags::of(data_dir.sealer())?);
        let (last, last_line) = match read_head(&data_dir, &key) {
            Ok(head) => head,
            Err(error) => return Ok(Err(error)),
        };
        let mut log =
            Self { path: path.into(), data_dir, key, tags, open: None, last, last_line, kept: last };
        Ok(log.settle().and_then(|()| log.keep()).map(|()| log))
    }

    /// Uses these tags in later lines.
    pub(super) fn tag_with(&mut self, tags: AuditTags) {
        self.tags = tags;
    }

    /// Appends the line of an event.
    pub(super) fn append<E: Serialize>(&mut self, entry: &Entry<E>) -> io::Result<()> {
        let appended = self.settle().and_then(|()| self.write(entry));
        if appended.is_err() {
            self.open = None;
        }
        appended
    }

    /// Closes the file if it was moved away, and goes on with the one at its path now.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|open| is_at(&self.path, &open.file)) {
            return Ok(());
        }
        let ended = match &self.open {
            Some(_) => self.append(&Entry::now(Mark::FileEnded)).and_then(|()| self.keep()),
            None => Ok(()),
        };
        self.open = None;
        self.settle()?;
        self.keep().and(ended)
    }

    /// Makes sure that the lines so far survive a power cut, and then copies the last one. In this order, the copy is
    /// never ahead of the file.
    pub(super) fn keep(&mut self) -> io::Result<()> {
        if self.kept == self.last {
            return Ok(());
        }
        if let Some(open) = &self.open {
            open.file.sync_data()?;
        }
        let written = self.data_dir.write(HEAD, |file| file.write_all(&self.last_line));
        written.map_err(io::Error::other)?;
        self.kept = self.last;
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes sure that a file is open and ends where this log left it. If it ends elsewhere, its end is examined
    /// first.
    fn settle(&mut self) -> io::Result<()> {
        if let Some(open) = &self.open {
            if open.file.metadata()?.len() == open.len {
                return Ok(());
            }
            self.open = None;
        }
        let file = open_alone(&self.path)?;
        let len = file.metadata()?.len();
        let end = End::read(&file, len)?;
        self.open = Some(Open { file, len });
        let settled = self.go_on_after(&end);
        if settled.is_err() {
            self.open = None;
        }
        settled
    }

    fn go_on_after(&mut self, end: &End) -> io::Result<()> {
        let follows = hex::encode(self.last.hash);
        let (line, torn) = (end.line(), end.torn());
        if line.is_none() && torn.is_none() {
            return self.write(&Entry::now(Mark::FileBegun { follows }));
        }
        if let Some(line) = line {
            self.take_up(line);
        }
        let Some(torn) = torn else { return Ok(()) };
        self.write_bytes(b"\n")?;
        if self.is_own(torn) {
            self.take_up(torn);
            return Ok(());
        }
        let (bytes, sha256, follows) = (torn.len(), sha256_hex(torn), line.is_none().then_some(follows));
        tracing::warn!(path = %self.path.display(), bytes, "the audit log's last line was torn; the log goes on after it");
        self.write(&Entry::now(Mark::LineTorn { bytes, sha256, follows }))
    }

    /// Goes on after the last line of a file, if that is a line of this log and not older than the last known one.
    /// Otherwise the log goes on after the last known line, and the file shows the gap.
    fn take_up(&mut self, line: &[u8]) {
        let found = Line::parse(line).filter(|line| line.is_sealed_with(&self.key));
        match found.map(|line| line.at) {
            Some(at) if at.number >= self.last.number => {
                self.last = at;
                self.last_line = [line, b"\n"].concat();
            }
            Some(at) => tracing::error!(
                path = %self.path.display(),
                ends_at = at.number,
                last = self.last.number,
                "the audit log was CUT, or it is an older file: lines at its end are missing"
            ),
            None => tracing::error!(
                path = %self.path.display(),
                "the audit log was CHANGED, or it is of another data directory: its last line is not one of this program"
            ),
        }
    }

    fn is_own(&self, line: &[u8]) -> bool {
        Line::parse(line).is_some_and(|line| line.is_sealed_with(&self.key))
    }

    fn write<E: Serialize>(&mut self, entry: &Entry<E>) -> io::Result<()> {
        let (line, at) = line::write((&self.key, &self.tags), &self.last, entry)?;
        self.write_bytes(line.as_bytes())?;
        (self.last, self.last_line) = (at, line.into_bytes());
        Ok(())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let open = self.open.as_mut().ok_or(io::ErrorKind::NotConnected)?;
        open.file.write_all(bytes)?;
        open.len += bytes.len() as u64;
        Ok(())
    }
}

/// The last line that the data directory knows, if it has one that can be trusted. An error if this user may not use
/// the file that holds it.
fn read_head(data_dir: &DataDir, key: &AuditKey) -> io::Result<(Position, Vec<u8>)> {
    let path = data_dir.path().join(HEAD);
    let text = match read_own(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
        Err(error) => {
            tracing::error!(path = %path.display(), %error, "cannot read the data directory's copy of the audit log's last line");
            return Ok(Default::default());
        }
    };
    Ok(match head(&text, key) {
        Some(at) => (at, text),
        None => {
            tracing::error!(path = %path.display(), "the data directory's copy of the audit log's last line is damaged");
            Default::default()
        }
    })
}

/// The position in a copy of the last line. `None` if the line was not sealed with the key.
pub(super) fn head(text: &[u8], key: &AuditKey) -> Option<Position> {
    let line = Line::parse(text.strip_suffix(b"\n")?)?;
    line.is_sealed_with(key).then_some(line.at)
}

/// Opens a file of this user for appending (created with mode 0600), and locks out other processes.
fn open_alone(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = open_own(path, options.read(true).append(true).create(true).mode(0o600))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::other("another process writes to it")),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn is_at(path: &Path, file: &File) -> bool {
    match (fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(here)) => (there.dev(), there.ino()) == (here.dev(), here.ino()),
        _ => false,
    }
}

/// The last bytes of a file.
struct End {
    bytes: Vec<u8>,
}

impl End {
    fn read(file: &File, len: u64) -> io::Result<Self> {
        let from = len.saturating_sub(2 * MAX_LINE_LEN as u64);
        let mut bytes = vec![0; (len - from) as usize];
        file.read_exact_at(&mut bytes, from)?;
        Ok(Self { bytes })
    }

    /// The bytes after the last line feed, if there are any.
    fn torn(&self) -> Option<&[u8]> {
        let torn = self.bytes.rsplit(|byte| *byte == b'\n').next()?;
        (!torn.is_empty()).then_some(torn)
    }

    /// The last line that ends with a line feed.
    fn line(&self) -> Option<&[u8]> {
        self.bytes.rsplit(|byte| *byte == b'\n').nth(1)
    }
}
