//! Checks that files of an audit log are what the program wrote: each line is unchanged and in its place, and none is
//! missing in between or at the end. Without the key, it only checks that the lines fit together.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::file::{HEAD, MAX_LINE_LEN, head};
use super::key::AuditKey;
use super::line::Line;
use super::lost;
use super::position::Position;
use crate::data_dir::DataDirError;
use crate::own_file::read_own;

/// How the lines are checked.
pub enum Check {
    /// Hashes only: a log with recomputed hashes passes, and so does one with its end cut off.
    Hashes,
    /// With the key, and what the data directory says about the end.
    Seals(AuditKey, End),
}

/// What a data directory says about the end of the log.
pub struct End {
    head: Head,
    /// Events that were lost after the last line.
    lost: u64,
}

/// The copy of the last line in a data directory.
enum Head {
    /// The position of the last line.
    At(Position),
    /// No copy: no audit log was written with this data directory.
    Missing,
    /// The copy was not sealed with the key of the data directory.
    Damaged,
}

impl Check {
    /// Checks with the key and the copy in the data directory at `path`. A program may be running on it.
    ///
    /// # Errors
    /// [`DataDirError`].
    pub fn with_data_dir(path: &Path) -> Result<Self, DataDirError> {
        let key = AuditKey::at(path)?;
        let unreadable = |source| DataDirError::Io { action: "read", path: path.join(HEAD), source };
        let head = match read_own(&path.join(HEAD)) {
            Ok(text) => head(&text, &key).map_or(Head::Damaged, Head::At),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Head::Missing,
            Err(error) => return Err(unreadable(error)),
        };
        let lost = lost::read(path).map_err(unreadable)?.unwrap_or(0);
        Ok(Self::Seals(key, End { head, lost }))
    }
}

/// Something that is not as the program wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// It is not a line.
    #[error("it is not a line of an audit log: it was changed or added, or it is torn")]
    NotALine,
    /// Its bytes do not match its hash.
    #[error("it does not match its hash: it was changed")]
    Changed,
    /// Its hash is not sealed with the key.
    #[error("its seal is not of this data directory: it was changed or added by someone without the key")]
    Forged,
    /// Lines before it are missing.
    #[error("{} missing before it", lines(*.0, *.1))]
    Missing(u64, u64),
    /// It is not where it belongs.
    #[error("it has number {0} where {1} is expected: it was moved or repeated")]
    OutOfPlace(u64, u64),
    /// It is the first line of a file, but no file begins like this.
    #[error("no file begins with it: lines before it were removed")]
    NoBeginning,
    /// It reports a torn line that is not before it.
    #[error("the torn line that it reports is not before it")]
    NoTornLine,
    /// It ends without a line feed.
    #[error(
        "the file ends in the middle of it: it was cut, or the program was killed there (then the next start \
         makes a note of it)"
    )]
    CutShort,
    /// The data directory knows another line with this number.
    #[error("it is not the line that the data directory knows under its number")]
    NotTheHead,
    /// Lines at the end are missing.
    #[error(
        "{} missing after it: the file was cut, or they are in a later file, which must then be given too",
        lines(*.0, *.1)
    )]
    EndMissing(u64, u64),
    /// The copy of the last line is damaged.
    #[error("the data directory's copy of the last line ({HEAD}) is damaged: a cut end would not be seen")]
    HeadDamaged,
}

fn lines(first: u64, last: u64) -> String {
    if first == last {
        format!("line number {first} is")
    } else {
        format!("lines number {first} to {last} are")
    }
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub file: PathBuf,
    /// The number of the line in the file, counted from 1; 0 if the file is empty.
    pub line: u64,
    pub wrong: Wrong,
}

/// The result of checking files.
#[derive(Debug, Default)]
pub struct Report {
    /// Everything that is wrong, in the order of the files.
    pub findings: Vec<Finding>,
    /// How many lines were checked.
    pub lines: u64,
    /// The number of the first line.
    pub first: Option<u64>,
    /// The last line.
    pub last: Option<Position>,
    /// How many torn lines the log itself reports.
    pub torn: u64,
    /// How many events have no line, as the log itself and the data directory report.
    pub lost: u64,
    /// Whether the last file says that the log goes on in another one.
    pub goes_on: bool,
}

/// Checks the files of one log, the oldest first.
///
/// # Errors
/// If a file cannot be read; with its path.
pub fn verify(files: &[PathBuf], check: &Check) -> Result<Report, (PathBuf, io::Error)> {
    let mut reader = Reader { check, report: Report::default(), torn: None, file: Path::new(""), line: 0 };
    for file in files {
        reader.read(file).map_err(|error| (file.clone(), error))?;
    }
    reader.compare_with_head();
    Ok(reader.report)
}

struct Reader<'a> {
    check: &'a Check,
    report: Report,
    /// A malformed line, and its number. The next line may explain it.
    torn: Option<(u64, Vec<u8>)>,
    file: &'a Path,
    line: u64,
}

impl<'a> Reader<'a> {
    fn read(&mut self, path: &'a Path) -> io::Result<()> {
        (self.file, self.line) = (path, 0);
        let mut file = BufReader::new(File::open(path)?);
        loop {
            let mut text = Vec::new();
            let len = file.by_ref().take(MAX_LINE_LEN as u64).read_until(b'\n', &mut text)?;
            if len == 0 {
                break;
            }
            self.line += 1;
            let whole = text.pop_if(|last| *last == b'\n').is_some();
            if !whole && len == MAX_LINE_LEN {
                file.skip_until(b'\n')?;
            } else if !whole {
                self.unexplained();
                self.find(Wrong::CutShort);
                return Ok(());
            }
            self.look_at(text);
        }
        self.unexplained();
        Ok(())
    }

    fn look_at(&mut self, text: Vec<u8>) {
        self.report.lines += 1;
        let Some(line) = Line::parse(&text) else {
            self.unexplained();
            self.torn = Some((self.line, text));
            return;
        };
        if matches!(self.check, Check::Seals(key, _) if !line.is_sealed_with(key)) {
            self.unexplained();
            self.find(Wrong::Forged);
            return;
        }
        let is_first = self.line == 1 || (self.line == 2 && self.torn.is_some());
        self.explain_torn(&line);
        if is_first && line.begins_file_after().is_none() {
            self.find(Wrong::NoBeginning);
        }
        self.take(&line);
    }

    /// Compares a line with the one before it, and goes on from it.
    fn take(&mut self, line: &Line) {
        let (at, last) = (line.at, self.report.last);
        let before = last.map(|last| last.hash).or_else(|| line.begins_file_after());
        let due = last.map_or(at.number, |last| last.number.saturating_add(1));
        if at.number < due {
            self.find(Wrong::OutOfPlace(at.number, due));
            return;
        }
        if at.number > due {
            self.find(Wrong::Missing(due, at.number - 1));
        } else if before.is_some_and(|before| !line.fits_after(before)) {
            self.find(Wrong::Changed);
        }
        let head = match self.check {
            Check::Seals(_, End { head: Head::At(head), .. }) => Some(head),
            _ => None,
        };
        if head.is_some_and(|head| head.number == at.number && *head != at) {
            self.find(Wrong::NotTheHead);
        }
        self.report.first.get_or_insert(at.number);
        self.report.last = Some(at);
        self.report.lost = self.report.lost.saturating_add(line.lost());
        self.report.goes_on = line.ends_file();
    }

    fn explain_torn(&mut self, line: &Line) {
        match self.torn.take() {
            Some((_, torn)) if line.tells_of(&torn) => self.report.torn += 1,
            Some((place, _)) => self.find_in(place, Wrong::NotALine),
            None if line.tells_of_torn_line() => self.find(Wrong::NoTornLine),
            None => (),
        }
    }

    /// Reports a malformed line that nothing explains.
    fn unexplained(&mut self) {
        if let Some((place, _)) = self.torn.take() {
            self.find_in(place, Wrong::NotALine);
        }
    }

    fn compare_with_head(&mut self) {
        let Check::Seals(_, End { head, lost }) = self.check else { return };
        self.report.lost = self.report.lost.saturating_add(*lost);
        let last = self.report.last.map_or(0, |last| last.number);
        match head {
            Head::At(head) if head.number > last && !self.report.goes_on => {
                self.find(Wrong::EndMissing(last + 1, head.number));
            }
            Head::Damaged => self.find(Wrong::HeadDamaged),
            Head::At(_) | Head::Missing => (),
        }
    }

    fn find(&mut self, wrong: Wrong) {
        self.find_in(self.line, wrong);
    }

    fn find_in(&mut self, line: u64, wrong: Wrong) {
        self.report.findings.push(Finding { file: self.file.into(), line, wrong });
    }
}
