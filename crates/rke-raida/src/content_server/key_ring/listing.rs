//! What a data directory says of its key sets, for those who only look. Nothing is opened, made or changed.

use std::path::Path;

use rke_host::data_dir::{self, Role};
use rke_proto::{ContentServerId, Form, KeySetId};

use super::{FOLDERS, Preloaded, RETIRES_AT, names_in, read_form, read_preloaded, read_time};
use crate::content_server::ContentServerError;

/// A key set, without its secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedKeySet {
    /// Whose it is: the first 16 bytes of the ID.
    pub cs_id: ContentServerId,
    /// Its number.
    pub key_set: KeySetId,
    /// The one form of session that it serves.
    pub form: Form,
    /// Where it is preloaded. `None`: too few RAIDAs have confirmed it yet.
    pub preloaded: Option<Preloaded>,
    /// In Unix seconds. `None`: it does not retire.
    pub retires_at: Option<u64>,
}

/// The key sets of all Content Server IDs in a data directory, of each the lowest number first.
///
/// # Errors
/// [`ContentServerError`], also if the directory does not exist.
pub fn list_key_sets(data_dir: &Path) -> Result<Vec<ListedKeySet>, ContentServerError> {
    data_dir::check(data_dir, Role::ContentServer)?;
    let mut sets = Vec::new();
    for name in names_in(data_dir)? {
        let Some((cs_id, key_set)) = owner_of(&name) else { continue };
        let folder = data_dir.join(&name);
        sets.push(ListedKeySet {
            cs_id,
            key_set,
            form: read_form(&folder)?,
            preloaded: read_preloaded(&folder)?,
            retires_at: read_time(&folder.join(RETIRES_AT))?,
        });
    }
    sets.sort_unstable_by_key(|set| (*set.cs_id.padded(), set.key_set));
    Ok(sets)
}

/// Whose key set a folder of this name is, and which.
fn owner_of(name: &str) -> Option<(ContentServerId, KeySetId)> {
    let (cs_id, key_set) = name.strip_prefix(FOLDERS)?.split_once('-')?;
    let mut padded = [0; 16];
    hex::decode_to_slice(cs_id, &mut padded).ok()?;
    Some((ContentServerId::from_padded(padded)?, KeySetId::parse(key_set)?))
}
