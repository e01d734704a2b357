//! The file of known Content Servers. People read and edit it, and the daemon and `rke trust` write it, all of them at
//! any time. So every change holds a lock from reading to writing, and lines that cannot be parsed stay as they are.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rke_host::data_dir::{Role, claim};
use rke_host::durable::write_atomically;
use rke_host::own_file::{open_own, read_own};
use rke_host::stamp::Stamp;

use super::{Known, Offer};
use crate::Domain;

const NAME: &str = "known-content-servers";

/// A separate file, because the main file is replaced with each change, so a lock on it would lock nobody out.
const LOCK: &str = "known-content-servers.lock";

const HEADING: &str = "\
# The Content Servers that this daemon knows: domain, Content Server ID, strongest form seen, since when.
# `rke trust` lists, accepts and removes them. A running daemon reads this file again when it changes.
";

/// How far a file's times can lag behind its changes.
const TICK_SECONDS: i64 = 1;

/// Why the file of known Content Servers cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustFileError {
    /// It cannot be read. That does not mean that it is empty.
    #[error(
        "cannot read the known Content Servers in {path}: {source}; make the file readable for this user, or put \
         back a copy of it. Without it, every Content Server would pass for a new one"
    )]
    Read {
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It cannot be changed.
    #[error(
        "cannot change the known Content Servers in {path}: {source}; see that this user may write to the folder, \
         and that its disk has room"
    )]
    Write {
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It would then belong to another user, and the daemon's user could no longer read it.
    #[error(
        "{path} belongs to another user; run this command as that user, with `sudo -u '#{owner}'` in front"
    )]
    Owner {
        /// The file, or its folder if the file does not exist yet.
        path: PathBuf,
        /// The user's number.
        owner: u32,
    },
}

/// The file of known Content Servers in a data directory.
pub struct TrustFile {
    folder: PathBuf,
    path: PathBuf,
}

impl TrustFile {
    /// The file in this data directory. Touches nothing. The path is absolute, because messages show it to people who
    /// are in other folders.
    pub fn in_folder(data_dir: &Path) -> Self {
        let folder = std::path::absolute(data_dir).unwrap_or_else(|_| data_dir.into());
        Self { path: folder.join(NAME), folder }
    }

    /// The path of the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The contents of the file. A file that does not exist is empty.
    ///
    /// # Errors
    /// [`TrustFileError::Read`].
    pub fn read(&self) -> Result<Lines, TrustFileError> {
        match read_own(&self.path) {
            Ok(bytes) => Ok(Lines::parse(&bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Lines::default()),
            Err(source) => Err(TrustFileError::Read { path: self.path.clone(), source }),
        }
    }

    /// Makes `offer` the known Content Server of `domain`, whatever was known before.
    ///
    /// # Errors
    /// [`TrustFileError`].
    pub fn accept(&self, domain: &Domain, offer: &Offer) -> Result<(), TrustFileError> {
        self.check_owner()?;
        self.change(|lines| {
            lines.put(Known::of(domain, offer, None));
            Ok(())
        })
    }

    /// Removes the domain, and returns whether it was known.
    ///
    /// # Errors
    /// [`TrustFileError`].
    pub fn remove(&self, domain: &Domain) -> Result<bool, TrustFileError> {
        if !self.read()?.first.contains_key(domain) {
            return Ok(false);
        }
        self.check_owner()?;
        self.change(|lines| Ok(lines.remove(domain)))
    }

    /// Changes the contents while nobody else does. If `change` fails, the file stays as it was.
    pub(super) fn change<T, E: From<TrustFileError>>(
        &self,
        change: impl FnOnce(&mut Lines) -> Result<T, E>,
    ) -> Result<T, E> {
        let _lock = self.lock().map_err(|source| self.cannot_write(source))?;
        let mut lines = self.read()?;
        let result = change(&mut lines)?;
        let written = write_atomically(&self.folder, &self.path, |file| file.write_all(&lines.to_bytes()));
        written.map_err(|source| self.cannot_write(source))?;
        Ok(result)
    }

    fn cannot_write(&self, source: io::Error) -> TrustFileError {
        TrustFileError::Write { path: self.path.clone(), source }
    }

    /// Waits until nobody else changes the file. The lock lasts as long as the value.
    fn lock(&self) -> io::Result<File> {
        claim(&self.folder, Role::Daemon).map_err(io::Error::other)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600);
        let lock = open_own(&self.folder.join(LOCK), &mut options)?;
        lock.lock()?;
        Ok(lock)
    }

    /// A new file belongs to its writer, so root would take it from the daemon's user.
    fn check_owner(&self) -> Result<(), TrustFileError> {
        for path in [&self.path, &self.folder] {
            let Ok(metadata) = fs::metadata(path) else { continue };
            let owner = metadata.uid();
            return match rustix::process::geteuid().as_raw() == owner {
                true => Ok(()),
                false => Err(TrustFileError::Owner { path: path.clone(), owner }),
            };
        }
        Ok(())
    }

    /// Identifies the state of the file; `None` if the file does not exist.
    pub(super) fn stamp(&self) -> Result<Option<Stamp>, TrustFileError> {
        match fs::metadata(&self.path) {
            Ok(metadata) => Ok(Some(Stamp::of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(TrustFileError::Read { path: self.path.clone(), source }),
        }
    }
}

/// Whether a file with this stamp, read at `read`, cannot have changed since. Two changes within one tick of the file
/// system's clock look alike.
pub(super) fn is_settled(stamp: &Stamp, read: Timestamp) -> bool {
    stamp.changed().saturating_add(TICK_SECONDS) < read.as_second()
}

/// The lines of the file, and where each domain's first one is.
#[derive(Debug, Default)]
pub struct Lines {
    all: Vec<Line>,
    first: HashMap<Domain, usize>,
}

#[derive(Debug)]
struct Line {
    text: Vec<u8>,
    meaning: Meaning,
}

#[derive(Debug)]
enum Meaning {
    /// A comment, or an empty line.
    Nothing,
    Known(Known),
    /// What is wrong, and the domain if it can be read.
    Damaged(Option<Domain>, &'static str),
}

impl Line {
    fn parse(text: &[u8]) -> Self {
        Self { text: text.into(), meaning: Meaning::of(text.trim_ascii()) }
    }

    fn domain(&self) -> Option<&Domain> {
        match &self.meaning {
            Meaning::Nothing => None,
            Meaning::Known(known) => Some(&known.domain),
            Meaning::Damaged(domain, _) => domain.as_ref(),
        }
    }
}

impl Meaning {
    fn of(line: &[u8]) -> Self {
        if line.is_empty() || line.starts_with(b"#") {
            return Self::Nothing;
        }
        let parsed = std::str::from_utf8(line).map_err(|_| "it is not text").and_then(str::parse);
        parsed.map_or_else(|wrong| Self::Damaged(first_word(line), wrong), Self::Known)
    }
}

fn first_word(line: &[u8]) -> Option<Domain> {
    let word = line.split(u8::is_ascii_whitespace).next()?;
    Domain::new(std::str::from_utf8(word).ok()?)
}

impl Lines {
    fn parse(bytes: &[u8]) -> Self {
        let lines = bytes.strip_suffix(b"\n").unwrap_or(bytes).split(|byte| *byte == b'\n');
        if bytes.is_empty() { Self::default() } else { Self::of(lines.map(Line::parse).collect()) }
    }

    fn of(all: Vec<Line>) -> Self {
        let domains = all.iter().enumerate().filter_map(|(at, line)| Some((line.domain()?.clone(), at)));
        // If several lines have the same domain, the last one inserted stays. In reverse order, that is the first
        // line.
        let first = domains.rev().collect();
        Self { all, first }
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.all.iter().flat_map(|line| [&*line.text, b"\n"]).flatten().copied().collect()
    }

    /// The known Content Servers, in the file's order. If a domain has several lines, the first one counts.
    pub fn known_servers(&self) -> impl Iterator<Item = &Known> {
        self.all.iter().enumerate().filter_map(|(at, line)| match &line.meaning {
            Meaning::Known(known) if self.is_first(at, line) => Some(known),
            _ => None,
        })
    }

    /// The damaged lines, by number from 1, with what is wrong.
    pub fn complaints(&self) -> impl Iterator<Item = (usize, &'static str)> {
        self.all.iter().enumerate().filter_map(|(at, line)| match &line.meaning {
            Meaning::Damaged(_, wrong) => Some((at + 1, *wrong)),
            Meaning::Known(_) if !self.is_first(at, line) => {
                Some((at + 1, "an earlier line has the same domain"))
            }
            _ => None,
        })
    }

    fn is_first(&self, at: usize, line: &Line) -> bool {
        line.domain().and_then(|domain| self.first.get(domain)) == Some(&at)
    }

    /// What is known about a domain.
    pub(super) fn known(&self, domain: &Domain) -> Option<&Known> {
        match &self.all[*self.first.get(domain)?].meaning {
            Meaning::Known(known) => Some(known),
            _ => None,
        }
    }

    /// If a domain's line is damaged: its number, from 1, and what is wrong with it. Such a domain is not a new one.
    pub(super) fn damaged(&self, domain: &Domain) -> Option<(usize, &'static str)> {
        let at = *self.first.get(domain)?;
        match &self.all[at].meaning {
            Meaning::Damaged(_, wrong) => Some((at + 1, wrong)),
            _ => None,
        }
    }

    /// Puts a line where the domain's first one is, or at the end, and removes the domain's other lines.
    pub(super) fn put(&mut self, known: Known) {
        if self.all.is_empty() {
            *self = Self::parse(HEADING.as_bytes());
        }
        let at = self.first.get(&known.domain).copied();
        self.remove(&known.domain);
        let line = Line { text: known.to_string().into(), meaning: Meaning::Known(known) };
        self.all.insert(at.unwrap_or(self.all.len()), line);
        *self = Self::of(std::mem::take(&mut self.all));
    }

    fn remove(&mut self, domain: &Domain) -> bool {
        let before = self.all.len();
        self.all.retain(|line| line.domain() != Some(domain));
        *self = Self::of(std::mem::take(&mut self.all));
        self.all.len() != before
    }
}
