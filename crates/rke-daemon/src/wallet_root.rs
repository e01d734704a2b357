//! The folder that wallets must lie in, where the operator names one. A path is judged by where it
//! leads once symbolic links are followed, and nothing is told about what lies outside.

use std::io;
use std::path::{Path, PathBuf};

/// The folder, without symbolic links.
#[derive(Debug)]
pub(crate) struct WalletRoot(PathBuf);

/// The path leads out of the folder.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outside;

impl WalletRoot {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let root = path.canonicalize()?;
        if root.is_dir() { Ok(Self(root)) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }

    /// The place that `path` leads to. It need not exist: then it is `path` itself, as long as the
    /// part of it that exists lies inside.
    pub(crate) fn confine(&self, path: &Path) -> Result<PathBuf, Outside> {
        let reached = path.ancestors().find_map(|part| part.canonicalize().ok());
        if !reached.is_some_and(|reached| reached.starts_with(&self.0)) {
            return Err(Outside);
        }
        // What cannot be resolved cannot be opened either, so it is safe to hand on as it is.
        Ok(path.canonicalize().unwrap_or_else(|_| path.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_paths_that_lead_inside_pass() {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("root/wallet")).expect("a folder");
        fs::create_dir_all(at("root-2/wallet")).expect("a folder");
        symlink(at("root-2"), at("root/out")).expect("a link");
        symlink(at("root"), at("in")).expect("a link");
        let root = WalletRoot::open(&at("in")).expect("a root");
        for inside in ["root", "root/wallet", "in/wallet", "root/out/../root/wallet", "root/missing/x"] {
            assert!(root.confine(&at(inside)).is_ok(), "{inside}");
        }
        for outside in ["", "root-2", "root-2/wallet", "root/out", "root/out/wallet", "root/..", "missing"] {
            assert_eq!(root.confine(&at(outside)), Err(Outside), "{outside}");
        }
        for outside in ["root/out/missing", "root/wallet/../../missing", "in/../../etc/passwd"] {
            assert_eq!(root.confine(&at(outside)), Err(Outside), "{outside}");
        }
        assert_eq!(root.confine(&at("in/wallet")), Ok(at("root/wallet").canonicalize().expect("a path")));
    }

    #[test]
    fn the_root_must_be_a_folder() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(WalletRoot::open(file.path()).is_err());
        assert!(WalletRoot::open(Path::new("/nowhere/at/all")).is_err());
    }
}
