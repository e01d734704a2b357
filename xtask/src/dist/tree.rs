//! The files of a release where Linux looks for them. The tarball and the Debian package have all of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Dist;
use super::steps::{printed, run};

/// Files, or folders with files, and the folders that they go to.
const FILES: [(&str, &str); 16] = [
    ("packaging/systemd", "usr/lib/systemd/system"),
    ("packaging/systemd/user", "usr/lib/systemd/user"),
    ("packaging/sysusers", "usr/lib/sysusers.d"),
    ("packaging/tmpfiles", "usr/lib/tmpfiles.d"),
    ("packaging/etc/rke.toml", "etc/rke"),
    ("packaging/etc/content-server.toml", "usr/share/doc/rke/examples"),
    ("packaging/etc/raida.toml", "usr/share/doc/rke/examples"),
    ("packaging/compose.yaml", "usr/share/doc/rke/examples"),
    ("packaging/monitoring", "usr/share/doc/rke/examples"),
    ("README.md", "usr/share/doc/rke"),
    ("CHANGELOG.md", "usr/share/doc/rke"),
    ("SECURITY.md", "usr/share/doc/rke"),
    ("THIRD-PARTY.md", "usr/share/doc/rke"),
    ("LICENSE-MIT", "usr/share/doc/rke"),
    ("LICENSE-APACHE", "usr/share/doc/rke"),
    ("crates/rke-daemon/book", "usr/share/doc/rke/html/book"),
];

/// What the pages of the book take from the console.
const LOOKS: [&str; 4] = ["css", "svg", "woff2", "txt"];

/// The licence of glibc, a part of which is linked. Every Debian has its text.
const LGPL: &str = "/usr/share/common-licenses/LGPL-2.1";

/// Shells, and the files with which they complete commands.
const COMPLETIONS: [(&str, &str); 3] = [
    ("bash", "usr/share/bash-completion/completions/rke"),
    ("zsh", "usr/share/zsh/vendor-completions/_rke"),
    ("fish", "usr/share/fish/vendor_completions.d/rke.fish"),
];

/// The tree: `usr` and `etc` are in it.
pub(super) struct Tree(PathBuf);

impl Tree {
    /// Makes the tree again.
    pub(super) fn stage(dist: &Dist, program: &Path, sbom: &str) -> Result<Self> {
        let tree = Self::empty(dist.out.join("tree"))?;
        tree.copy(program, "usr/bin")?;
        run(Command::new(program).arg("man").arg(tree.place("usr/share/man/man1")?))?;
        for (shell, file) in COMPLETIONS {
            tree.write(file, &printed(Command::new(program).args(["completions", shell]))?)?;
        }
        for (from, to) in FILES {
            tree.copy_all(&dist.sources.join(from), to, |_| true)?;
        }
        let console = dist.sources.join("crates/rke-daemon/console");
        tree.copy_all(&console, "usr/share/doc/rke/html/console", is_for_the_book)?;
        tree.copy(Path::new(LGPL), "usr/share/doc/rke")?;
        tree.write("usr/share/doc/rke/rke.cdx.json", sbom)?;
        set_modes(&tree.0)?;
        Ok(tree)
    }

    /// A tree without files. What was in its place is removed.
    pub(super) fn empty(folder: PathBuf) -> Result<Self> {
        match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", folder.display()));
            }
            _ => fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?,
        }
        Ok(Self(folder))
    }

    pub(super) fn folder(&self) -> &Path {
        &self.0
    }

    /// A folder in the tree.
    pub(super) fn place(&self, folder: &str) -> Result<PathBuf> {
        let place = self.0.join(folder);
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        Ok(place)
    }

    pub(super) fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.0.join(file);
        let (folder, _) = file.rsplit_once('/').context("files are in folders")?;
        self.place(folder)?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    /// Copies a file into a folder of the tree.
    pub(super) fn copy(&self, file: &Path, folder: &str) -> Result<()> {
        let name = file.file_name().context("a file has a name")?;
        let copied = fs::copy(file, self.place(folder)?.join(name));
        copied.with_context(|| format!("cannot copy {}", file.display()))?;
        Ok(())
    }

    /// Copies a file, or those of a folder's files that are wanted.
    fn copy_all(&self, from: &Path, folder: &str, is_wanted: fn(&Path) -> bool) -> Result<()> {
        if from.is_file() {
            return self.copy(from, folder);
        }
        let files = files_in(from)?;
        files.iter().filter(|file| is_wanted(file)).try_for_each(|file| self.copy(file, folder))
    }
}

fn is_for_the_book(file: &Path) -> bool {
    let ends = |extension: &std::ffi::OsStr| LOOKS.iter().any(|it| extension == *it);
    file.extension().is_some_and(ends) || file.ends_with("theme.js")
}

/// The files of a folder, without those of the folders in it.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let paths = paths.with_context(|| format!("cannot list {}", folder.display()))?;
    Ok(paths.into_iter().filter(|path| path.is_file()).collect())
}

/// Programs and folders have mode 755, other files 644, whatever the umask and the modes of the sources are.
fn set_modes(path: &Path) -> Result<()> {
    let in_bin = path.parent().is_some_and(|folder| folder.ends_with("usr/bin"));
    let mode = if path.is_dir() || in_bin { 0o755 } else { 0o644 };
    let set = fs::set_permissions(path, Permissions::from_mode(mode));
    set.with_context(|| format!("cannot set the mode of {}", path.display()))?;
    if path.is_dir() {
        for entry in fs::read_dir(path)? {
            set_modes(&entry?.path())?;
        }
    }
    Ok(())
}
