//! The files that a process may still use. Landlock knows folders by what they are, not by their names: a file that is
//! replaced is another file, so what is read again is read from a folder that is allowed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags,
};

use super::{LANDLOCK, Landlock, SandboxError};

/// The kernel's way to this process's own description of itself: the memory scan reads it. It is held open, because procfs
/// makes a new folder, which no rule knows, when it has forgotten the old one.
const SELF: &str = "/proc/self";

/// Whether a process may read files everywhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// It may.
    Open,
    /// Only in the folders for it.
    Limited,
}

/// Which files a process may use.
#[derive(Debug, Clone)]
pub struct Files {
    reading: Reading,
    allowed: Vec<Allowed>,
}

#[derive(Debug, Clone)]
struct Allowed {
    /// Without symbolic links.
    path: PathBuf,
    access: BitFlags<AccessFs>,
    identity: Option<Identity>,
    chosen_by: ChosenBy,
}

/// Who decides where a file lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChosenBy {
    /// The settings of the process.
    Settings,
    /// The system, which may move it at any time.
    System,
}

/// Device and inode: what the kernel knows a file or folder by.
type Identity = (u64, u64);

impl Files {
    /// None yet; except by reading, where that stays open.
    pub fn new(reading: Reading) -> Self {
        Self { reading, allowed: Vec::new() }
    }

    /// A folder and all beneath it, or one file, to read.
    pub fn read(self, path: &Path) -> Self {
        self.allow(path, AccessFs::ReadFile | AccessFs::ReadDir)
    }

    /// A file to read again when it has been replaced: its folder, and that of the file that it is a link to.
    pub fn read_again(self, file: &Path) -> Self {
        let link = folder_of(file);
        match file.canonicalize() {
            Ok(target) => self.read(&link).read(&folder_of(&target)),
            Err(_) => self.read(&link),
        }
    }

    /// A file of the system, which it may replace, make later and move: its folder, that of the file that it is a link to, or
    /// the nearest one above where that is not there yet, and the folders that it is usually moved to.
    pub fn follow(mut self, file: &Path, usual: &[&Path]) -> Self {
        let target = link_target(file);
        let above = target.ancestors().skip(1).find(|folder| folder.is_dir());
        // Not everything for a link to nowhere.
        let above = above.filter(|folder| folder.parent().is_some()).map(Path::to_path_buf);
        for folder in [folder_of(file)].into_iter().chain(above).chain(usual.iter().map(Into::into)) {
            self = self.read(&folder);
            self.allowed.iter_mut().last().into_iter().for_each(|last| last.chosen_by = ChosenBy::System);
        }
        self
    }

    /// A folder in which files and folders are read, made, changed, moved and removed.
    pub fn write(self, folder: &Path) -> Self {
        self.allow(folder, READ_WRITE)
    }

    /// A log that is made where it is missing, read and continued, but not cut nor removed. Landlock knows no names, so
    /// other files of its folder can be changed too.
    pub fn append(self, file: &Path) -> Self {
        let access = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::MakeReg;
        self.allow(&folder_of(file), access)
    }

    /// The path of a unix socket, which is made and removed. A folder is made next to it on the way.
    pub fn socket(self, path: &Path) -> Self {
        let access = AccessFs::MakeSock | AccessFs::RemoveFile | AccessFs::MakeDir | AccessFs::RemoveDir;
        self.allow(&folder_of(path), access | AccessFs::Refer)
    }

    /// A folder that is removed at the end, once it is empty.
    pub fn remove(self, folder: &Path) -> Self {
        self.allow(&folder_of(folder), AccessFs::RemoveDir.into())
    }

    /// The first path that the settings of `wanted` have it read and these do not allow: another one, or one in whose place
    /// another folder lies now. Where files of the system lie is nobody's setting.
    pub fn unreadable<'a>(&self, wanted: &'a Self) -> Option<&'a Path> {
        let allows = |path: &Path| {
            let mut above = self.allowed.iter().filter(|allowed| path.starts_with(&allowed.path));
            above.any(|allowed| identity(&allowed.path) == allowed.identity)
        };
        match (self.reading, wanted.reading) {
            (Reading::Open, _) => None,
            (Reading::Limited, Reading::Open) => Some(Path::new("/")),
            (Reading::Limited, Reading::Limited) => {
                let chosen = wanted.allowed.iter().filter(|allowed| allowed.chosen_by == ChosenBy::Settings);
                chosen.map(|allowed| allowed.path.as_path()).find(|path| !allows(path))
            }
        }
    }

    /// Notes what lies at `path` now. Nothing can be allowed that is not there.
    fn allow(mut self, path: &Path, access: BitFlags<AccessFs>) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let identity = identity(&path);
        self.allowed.push(Allowed { path, access, identity, chosen_by: ChosenBy::Settings });
        self
    }

    fn rules(&self, handled: BitFlags<AccessFs>) -> impl Iterator<Item = PathBeneath<PathFd>> + '_ {
        self.allowed.iter().filter_map(move |Allowed { path, access, .. }| {
            let of_a_file = if path.is_dir() { *access } else { *access & AccessFs::from_file(ABI::V5) };
            let access = of_a_file & handled;
            let opened = (!access.is_empty()).then(|| PathFd::new(path).ok());
            opened.flatten().map(|opened| PathBeneath::new(opened, access))
        })
    }
}

/// All that a data directory needs: no devices, no pipes, no sockets, no links by name.
const READ_WRITE: BitFlags<AccessFs> = make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | MakeReg | MakeDir | RemoveFile | RemoveDir | Refer
});

/// Confines this thread, and those that it starts from now on, to these files. Files that are open stay usable.
///
/// # Errors
/// [`SandboxError::Files`]; then it is not confined.
pub fn limit_files(files: &Files) -> Result<(), SandboxError> {
    let failed = |error: RulesetError| SandboxError::Files(error.to_string());
    let status = restrict(files).map_err(failed)?;
    if status == RulesetStatus::NotEnforced {
        return Err(SandboxError::Files("the kernel has no Landlock".into()));
    }
    let _ = LANDLOCK.set(match files.reading {
        Reading::Open => Landlock::Writes,
        Reading::Limited => Landlock::ReadsAndWrites,
    });
    Ok(())
}

fn restrict(files: &Files) -> Result<RulesetStatus, RulesetError> {
    let reads = AccessFs::ReadFile | AccessFs::ReadDir;
    let writes = AccessFs::from_write(ABI::V5) | AccessFs::Execute;
    let handled = if files.reading == Reading::Limited { writes | reads } else { writes };
    // Without `Refer`, which Linux has since 5.19, nothing could be moved between two folders of the data directory. Newer
    // rights are taken where the kernel has them.
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(handled)?
        .scope(Scope::Signal | Scope::AbstractUnixSocket)?
        .create()?;
    let ruleset = ruleset.add_rules(files.rules(handled).map(Ok::<_, RulesetError>))?;
    let ruleset = if files.reading == Reading::Limited { allow_self(ruleset, reads)? } else { ruleset };
    Ok(ruleset.restrict_self()?.ruleset)
}

fn allow_self(ruleset: RulesetCreated, reads: BitFlags<AccessFs>) -> Result<RulesetCreated, RulesetError> {
    static OPEN: OnceLock<PathFd> = OnceLock::new();
    let Ok(opened) = PathFd::new(SELF) else { return Ok(ruleset) };
    ruleset.add_rule(PathBeneath::new(OPEN.get_or_init(|| opened), reads))
}

fn identity(path: &Path) -> Option<Identity> {
    path.metadata().ok().map(|about| (about.dev(), about.ino()))
}

/// Where a file lies, or would if it was there, without the symbolic links on the way.
fn link_target(file: &Path) -> PathBuf {
    /// As many as the kernel follows.
    const MAX_LINKS: usize = 40;
    let mut target = std::path::absolute(file).unwrap_or_else(|_| file.to_path_buf());
    for _ in 0..MAX_LINKS {
        let Ok(next) = target.read_link() else { break };
        target = folder_of(&target).join(next);
    }
    target
}

fn folder_of(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    path.parent().map_or_else(|| path.clone(), Path::to_path_buf)
}
