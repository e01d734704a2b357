//! The file that the last good list is kept in when the daemon stops.

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

    /// The list that these guardians agreed on; an empty one if the file does not exist. A file that cannot be read
    /// is moved aside.
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
                tracing::info!("the saved RAIDA directory comes from other guardians, and is not used");
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
                "the saved RAIDA directory cannot be read and is moved aside; the guardians are asked again"
            ),
            Err(error) => tracing::error!(%error, "the saved RAIDA directory cannot be read"),
        }
    }

    /// Writes the list that these guardians agreed on.
    ///
    /// # Errors
    /// The system's error; then the previous file stays.
    pub(super) fn write(&self, list: &GoodList, guardians: &Guardians) -> Result<(), DataDirError> {
        let text = to_text(list, guardians.urls()).map_err(io::Error::other);
        self.0.write(NAME, |file| file.write_all(text?.as_bytes()))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
