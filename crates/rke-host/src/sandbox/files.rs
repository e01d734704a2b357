//! The files that a process may still use, and where it may connect to. Landlock identifies files by inode, not by name: a
//! file that is replaced is another file, so a file that is read again needs its folder allowed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use landlock::{
    ABI, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, RulesetStatus, Scope, make_bitflags,
};

use super::{LANDLOCK, Landlock, SandboxError};

/// The process's own folder in procfs, which the memory scan reads. It is kept open, because procfs otherwise may make a new
/// inode for it, which no rule covers.
const SELF: &str = "/proc/self";

/// Where a process may read files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Everywhere.
    Open,
    /// Only in the allowed folders.
    Limited,
}

/// Which files a process may use.
#[derive(Debug, Clone)]
pub struct Files {
    reading: Reading,
    allowed: Vec<Allowed>,
    /// The ports to which TCP connections may be opened. `None` for all.
    ports: Option<Vec<u16>>,
}

#[derive(Debug, Clone)]
struct Allowed {
    /// Without symbolic links.
    path: PathBuf,
    access: BitFlags<AccessFs>,
    identity: Option<Identity>,
    chosen_by: ChosenBy,
}

/// Who decides on the path of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChosenBy {
    /// The settings of the process.
    Settings,
    /// The system, which may move it at any time.
    System,
}

/// Device and inode, which identify a file or folder.
type Identity = (u64, u64);

impl Files {
    /// No files yet, except that all can be read if reading stays open.
    pub fn new(reading: Reading) -> Self {
        Self { reading, allowed: Vec::new(), ports: None }
    }

    /// Allows TCP connections to these ports only, on any machine: Landlock knows no addresses. It needs Linux 6.7 or later.
    pub fn connect_only(self, ports: &[u16]) -> Self {
        Self { ports: Some(ports.to_vec()), ..self }
    }

    /// Allows reading a folder and everything beneath it, or one file.
    pub fn read(self, path: &Path) -> Self {
        self.allow(path, AccessFs::ReadFile | AccessFs::ReadDir)
    }

    /// Allows reading a file again when it has been replaced: its folder, and that of the target if it is a link.
    pub fn read_again(self, file: &Path) -> Self {
        let link = folder_of(file);
        match file.canonicalize() {
            Ok(target) => self.read(&link).read(&folder_of(&target)),
            Err(_) => self.read(&link),
        }
    }

    /// Allows reading a file of the system, which the system may replace, make later or move: its folder, that of the target
    /// if it is a link, or the nearest existing folder above, and the `usual` folders that it is moved to.
    pub fn follow(mut self, file: &Path, usual: &[&Path]) -> Self {
        let target = link_target(file);
        let above = target.ancestors().skip(1).find(|folder| folder.is_dir());
        // A dangling link must not allow the root folder.
        let above = above.filter(|folder| folder.parent().is_some()).map(Path::to_path_buf);
        for folder in [folder_of(file)].into_iter().chain(above).chain(usual.iter().map(Into::into)) {
            self = self.read(&folder);
            self.allowed.iter_mut().last().into_iter().for_each(|last| last.chosen_by = ChosenBy::System);
        }
        self
    }

    /// Allows reading, making, changing, moving and removing files and folders in a folder.
    pub fn write(self, folder: &Path) -> Self {
        self.allow(folder, READ_WRITE)
    }

    /// Allows making, reading and appending to a log, but neither truncating nor removing it. Landlock knows no names, so
    /// other files of its folder can be changed too.
    pub fn append(self, file: &Path) -> Self {
        let access = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::MakeReg;
        self.allow(&folder_of(file), access)
    }

    /// Allows making and removing a unix socket at a path, and the temporary folder next to it.
    pub fn socket(self, path: &Path) -> Self {
        let access = AccessFs::MakeSock | AccessFs::RemoveFile | AccessFs::MakeDir | AccessFs::RemoveDir;
        self.allow(&folder_of(path), access | AccessFs::Refer)
    }

    /// Allows removing an empty folder.
    pub fn remove(self, folder: &Path) -> Self {
        self.allow(&folder_of(folder), AccessFs::RemoveDir.into())
    }

    /// The first path that the settings of `wanted` name and these files do not allow: a new path, or one with another
    /// folder in its place. Files of the system are not named by settings.
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

    /// Allows what is at `path` now, if anything is.
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

/// The rights that a data directory needs: no devices, no pipes, no sockets, no symbolic links.
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
    // `Refer`, part of Linux since 5.19, is needed to move files between two folders of the data directory. Newer
    // rights are handled if the kernel has them.
    let ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::Refer)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(handled)?
        .scope(Scope::Signal | Scope::AbstractUnixSocket)?;
    let ruleset = match files.ports {
        Some(_) => ruleset.handle_access(AccessNet::ConnectTcp)?,
        None => ruleset,
    };
    let ports = files.ports.iter().flatten().map(|port| Ok(NetPort::new(*port, AccessNet::ConnectTcp)));
    let ruleset = ruleset.create()?.add_rules::<_, _, _, RulesetError>(ports)?;
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

/// The path of a file without symbolic links, even if the file does not exist.
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
