//! The file in which the last good list outlives the daemon.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use rke_host::data_dir::{DataDir, DataDirError};
use rke_host::own_file::read_own;
use rke_proto::reach::Reach;

use super::list::{GoodList, of_text, to_text};
use super::urls::Guardians;

const NAME: &str = "raida-directory.json";

/// The file in the daemon's data directory.
pub(super) struct ListFile(Arc<DataDir>);

impl ListFile {
    pub(super) fn new(data_dir: Arc<DataDir>) -> Self {
        Self(data_dir)
    }

    fn path(&self) -> PathBuf {
        self.0.path().join(NAME)
    }

    /// The list that these guardians have agreed on; an empty one where there is none. A file that cannot be read is moved
    /// aside.
    ///
    /// # Errors
    /// Why this user may not use the file.
    pub(super) fn read(&self, guardians: &Guardians, reach: Reach) -> io::Result<GoodList> {
        let text = match read_own(&self.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(GoodList::default()),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Err(error),
            text => text.ok(),
        };
        match text.and_then(|text| of_text(&text, reach)) {
            Some((urls, list)) if urls == guardians.urls() => Ok(list),
            Some(_) => {
                tracing::info!("the RAIDA directory that was kept is of other guardians, and is not used");
                Ok(GoodList::default())
            }
            None => {
                self.set_aside();
                Ok(GoodList::default())
            }
        }
    }

    fn set_aside(&self) {
        let path = self.path();
        match self.0.set_aside(&path) {
            Ok(aside) => tracing::warn!(
                path = %path.display(), aside = %aside.display(),
                "the RAIDA directory that was kept cannot be read and is moved aside; the guardians are asked for another"
            ),
            Err(error) => tracing::error!(%error, "the RAIDA directory that was kept cannot be read"),
        }
    }

    /// Writes the list that these guardians have agreed on.
    ///
    /// # Errors
    /// What the system said; then the last one stays.
    pub(super) fn write(&self, list: &GoodList, guardians: &Guardians) -> Result<(), DataDirError> {
        let text = to_text(list, guardians.urls()).map_err(io::Error::other);
        self.0.write(NAME, |file| file.write_all(text?.as_bytes()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;
    use std::net::SocketAddr;
    use std::os::unix::fs::PermissionsExt;

    use jiff::Timestamp;
    use rke_host::data_dir::{Role, Sharing};
    use rke_proto::RaidaIndex;

    use super::super::agreement::Agreed;
    use super::*;

    fn guardians(path: &str) -> Guardians {
        let url = |host| format!("https://{host}.example/{path}");
        Guardians::new(&["a", "b", "c"].map(url)).expect("guardians")
    }

    fn list() -> GoodList {
        let agreed = Agreed { endpoints: vec![SocketAddr::from(([8, 8, 8, 8], 1))], guardians: 3 };
        let mut list = GoodList::default();
        list.take_over(
            BTreeMap::from([(RaidaIndex::new(1).expect("an index"), agreed)]),
            Timestamp::UNIX_EPOCH,
        );
        list
    }

    #[test]
    fn a_list_is_kept_for_the_same_guardians_and_no_others() {
        let dir = tempfile::tempdir().expect("a folder");
        let data_dir = DataDir::open(dir.path(), Role::Daemon, Sharing::Alone).expect("a data directory");
        let file = ListFile::new(Arc::new(data_dir));
        let read = |path| file.read(&guardians(path), Reach::Public).expect("read");
        assert!(read("x").is_empty());
        file.write(&list(), &guardians("x")).expect("written");
        assert_eq!(fs::metadata(file.path()).expect("metadata").permissions().mode() & 0o777, 0o600);
        assert_eq!(read("x"), list());
        assert!(read("y").is_empty());
    }

    #[test]
    fn a_damaged_list_is_moved_aside_and_one_that_others_may_write_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let data_dir = DataDir::open(dir.path(), Role::Daemon, Sharing::Alone).expect("a data directory");
        let file = ListFile::new(Arc::new(data_dir));
        fs::write(file.path(), "{").expect("written");
        assert!(file.read(&guardians("x"), Reach::Public).expect("read").is_empty());
        assert_eq!(fs::read_to_string(dir.path().join("damaged").join(NAME)).expect("moved"), "{");
        file.write(&list(), &guardians("x")).expect("written");
        fs::set_permissions(file.path(), fs::Permissions::from_mode(0o666)).expect("a mode");
        let error = file.read(&guardians("x"), Reach::Public).expect_err("refused").to_string();
        assert!(error.contains("chmod go-w"), "{error}");
    }
}
