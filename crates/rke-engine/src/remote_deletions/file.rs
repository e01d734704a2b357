//! The file of pending deletions: a line is appended when a deletion begins and when it ends. The kernel has the line
//! before a request is answered, so the line survives `kill -9` of the daemon; it reaches the disk a little later.
//! Once most lines are obsolete, the file is rewritten without delaying those that append.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError};

use rke_host::own_file::{open_own, read_own};

use super::line::{self, Line, write_begun, write_done};
use super::{DeletionContext, Id, RemoteDeletion};

const NAME: &str = "pending-deletions";

/// The rewritten file, until it replaces the old one.
const NEW: &str = "pending-deletions.new";

/// Lines that could not be read, for people to look at.
const DAMAGED: &str = "pending-deletions.damaged";

const HEADING: &str = "\
# Deletions that Content Servers have not confirmed: id, token, proof, host, port, end of the key's life. No key follows
# from them. rke asks until it has the proof; then a line says done.
";

/// Fewer obsolete lines than this are not worth a rewrite.
const MAX_IDLE_LINES: usize = 64;

/// The file. Its methods only append; [`DeletionContext::keep_file`] does what takes longer.
pub(super) struct PendingFile {
    folder: PathBuf,
    pub(super) out: Option<Arc<File>>,
    /// The number of lines, without comments.
    lines: usize,
    /// The lines that could not be read, until they are set aside.
    damaged: Vec<u8>,
    /// The text that was appended since the rewrite began, and its number of lines.
    since: Option<(Vec<u8>, usize)>,
    /// Whether the disk may lack some lines.
    unsynced: bool,
    /// Whether the file may lack a pending deletion, or holds something else.
    pub(super) is_wrong: bool,
    /// Whether its last line is incomplete.
    is_torn: bool,
    /// Whether the log already says that the file cannot be written.
    pub(super) has_failed: bool,
}

/// Work on the file that is done while nobody waits for it.
enum Work {
    Nothing,
    Sync(Arc<File>),
    Rewrite(Rewrite),
}

/// The contents of the new file.
struct Rewrite {
    folder: PathBuf,
    text: Vec<u8>,
    lines: usize,
    damaged: Vec<u8>,
}

impl PendingFile {
    /// Opens the file in a data directory. Also returns the pending deletions in it, in the order in which they were
    /// added. Unreadable lines are reported.
    ///
    /// # Errors
    /// Why this user may not use the file.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Vec<RemoteDeletion>)> {
        let mut file = Self {
            folder: folder.into(),
            out: None,
            lines: 0,
            damaged: Vec::new(),
            since: None,
            unsynced: false,
            is_wrong: false,
            is_torn: false,
            has_failed: false,
        };
        let found = match read_own(&file.path()) {
            Ok(bytes) => file.understand(&bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            Err(error) => {
                file.set_aside_whole(&error);
                Vec::new()
            }
        };
        Ok((file, found))
    }

    fn path(&self) -> PathBuf {
        self.folder.join(NAME)
    }

    fn understand(&mut self, bytes: &[u8]) -> Vec<RemoteDeletion> {
        let mut found: HashMap<Id, (usize, RemoteDeletion)> = HashMap::new();
        let mut wrong = None;
        for (at, text) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
            match line::parse(text) {
                Ok(Line::Nothing) => continue,
                Ok(Line::Begun(deletion)) => drop(found.insert(deletion.id, (at, deletion))),
                Ok(Line::Done(id)) => drop(found.remove(&id)),
                Err(reason) => {
                    wrong.get_or_insert((at + 1, reason));
                    self.damaged.extend(text.trim_ascii_end());
                    self.damaged.push(b'\n');
                }
            }
            self.lines += 1;
        }
        self.is_torn = bytes.last().is_some_and(|last| *last != b'\n');
        self.is_wrong = wrong.is_some() || self.is_torn;
        if let Some((line, reason)) = wrong {
            let path = self.path();
            tracing::warn!(
                path = %path.display(), line, reason,
                "a line of the pending deletions cannot be read, and perhaps others too; they are moved to {DAMAGED}"
            );
        }
        let mut found: Vec<(usize, RemoteDeletion)> = found.into_values().collect();
        found.sort_by_key(|(at, _)| *at);
        found.into_iter().map(|(_, deletion)| deletion).collect()
    }

    /// Moves a file that cannot be read out of the way of a new one.
    fn set_aside_whole(&mut self, error: &io::Error) {
        let (path, aside) = (self.path(), self.folder.join(DAMAGED));
        tracing::error!(
            path = %path.display(), %error,
            "cannot read the pending deletions; they are moved to {DAMAGED}, and Content Servers are not asked for them"
        );
        if let Err(error) = fs::rename(&path, aside) {
            tracing::error!(path = %path.display(), %error, "cannot move the pending deletions");
        }
    }

    /// Records deletions that begin.
    pub(super) fn add(&mut self, deletions: &[RemoteDeletion]) {
        let mut text = Vec::new();
        deletions.iter().for_each(|deletion| write_begun(deletion, &mut text));
        self.append(&text, deletions.len());
    }

    /// Records that a deletion has ended.
    pub(super) fn done(&mut self, id: Id) {
        let mut text = Vec::new();
        write_done(id, &mut text);
        self.append(&text, 1);
    }

    fn append(&mut self, text: &[u8], lines: usize) {
        self.lines += lines;
        if let Some((since, count)) = &mut self.since {
            since.extend(text);
            *count += lines;
        }
        match self.write(text) {
            Ok(()) => self.unsynced = true,
            Err(error) => {
                (self.is_torn, self.is_wrong) = (true, true);
                self.failed(&error);
            }
        }
    }

    fn write(&mut self, text: &[u8]) -> io::Result<()> {
        let (file, heading) = match &self.out {
            Some(file) => (Arc::clone(file), ""),
            None => {
                let file = Arc::new(append_to(&self.path(), false)?);
                let is_new = file.metadata()?.len() == 0;
                (Arc::clone(self.out.insert(file)), if is_new { HEADING } else { "" })
            }
        };
        let before = if self.is_torn { "\n" } else { heading };
        (&*file).write_all(&[before.as_bytes(), text].concat())?;
        self.is_torn = false;
        Ok(())
    }

    fn failed(&mut self, error: &io::Error) {
        if !self.has_failed {
            let path = self.path();
            tracing::error!(
                path = %path.display(), %error,
                "cannot save pending deletions: they go on, but are lost if the daemon stops before they can be saved"
            );
        }
        self.has_failed = true;
    }

    fn work<'a>(&mut self, pending: impl ExactSizeIterator<Item = &'a RemoteDeletion>) -> Work {
        let count = pending.len();
        if self.is_wrong || self.lines > 2 * count + MAX_IDLE_LINES {
            self.since = Some((Vec::new(), 0));
            let mut text = HEADING.as_bytes().to_vec();
            pending.for_each(|deletion| write_begun(deletion, &mut text));
            let (folder, damaged) = (self.folder.clone(), self.damaged.clone());
            return Work::Rewrite(Rewrite { folder, text, lines: count, damaged });
        }
        match (std::mem::take(&mut self.unsynced), &self.out) {
            (true, Some(file)) => Work::Sync(Arc::clone(file)),
            _ => Work::Nothing,
        }
    }

    /// Replaces the old file with the new one, including what was appended since.
    fn replace(&mut self, lines: usize, new: io::Result<File>) -> io::Result<()> {
        let (since, more) = self.since.take().unwrap_or_default();
        let replaced = new.and_then(|new| {
            (&new).write_all(&since)?;
            fs::rename(self.folder.join(NEW), self.path())?;
            Ok(new)
        });
        match replaced {
            Ok(new) => {
                self.out = Some(Arc::new(new));
                self.lines = lines + more;
                self.damaged.clear();
                self.unsynced = !since.is_empty();
                (self.is_wrong, self.is_torn) = (false, false);
                if std::mem::take(&mut self.has_failed) {
                    tracing::info!("pending deletions are saved again");
                }
                Ok(())
            }
            Err(error) => {
                self.is_wrong = true;
                self.failed(&error);
                Err(error)
            }
        }
    }
}

impl Rewrite {
    /// Sets aside the lines that could not be read, and writes the new file next to the old one.
    fn write(&self) -> io::Result<File> {
        if !self.damaged.is_empty() {
            let mut aside = append_to(&self.folder.join(DAMAGED), false)?;
            aside.write_all(&self.damaged)?;
            aside.sync_all()?;
        }
        let path = self.folder.join(NEW);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        let mut new = append_to(&path, true)?;
        new.write_all(&self.text)?;
        new.sync_all()?;
        Ok(new)
    }
}

impl DeletionContext {
    /// Brings the file and the disk up to date. Blocks for as long as a disk takes. Returns whether that succeeded.
    pub(super) fn keep_file(&self) -> bool {
        let _keeping = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let work = {
            let mut state = self.lock();
            let super::State { queue, file, .. } = &mut *state;
            file.work(queue.iter())
        };
        let done = match work {
            Work::Nothing => Ok(()),
            Work::Sync(file) => file.sync_data(),
            Work::Rewrite(rewrite) => {
                let new = rewrite.write();
                let replaced = self.lock().file.replace(rewrite.lines, new);
                replaced.and_then(|()| File::open(&rewrite.folder)?.sync_all())
            }
        };
        if let Err(error) = &done {
            tracing::debug!(%error, "cannot keep the file of pending deletions up to date");
            self.lock().file.unsynced = true;
        }
        done.is_ok()
    }
}

/// Opens a file (0600) for appending.
fn append_to(path: &Path, is_new: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).mode(0o600);
    if is_new {
        options.create_new(true)
    } else {
        options.create(true)
    };
    open_own(path, &mut options)
}
