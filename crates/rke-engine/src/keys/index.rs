//! The in-memory index of the cache, and how a file's contents are compared with its index entry.

use std::sync::Arc;

use super::aside::Unusable;
use crate::exchange::{Kept, KeptSecret};
use crate::model::key_origin::KeyOrigin;
use crate::model::usage::Usage;
use crate::model::viewer::{Page, Viewer};

/// The index entry of an existing file.
pub(super) struct Indexed {
    /// Unix seconds.
    pub(super) expires_at: u64,
    /// Shared with the sessions opened from this key.
    pub(super) origin: Arc<KeyOrigin>,
    /// The page that the exchange was made for, if a page requested it.
    pub(super) page: Option<Page>,
    pub(super) narrow: Option<NarrowFile>,
}

/// A narrow key's file, and how much the key has encrypted. The count is shared with the sessions that hold the key.
/// It exists only in memory: no later run of the daemon uses the key.
pub(super) struct NarrowFile {
    write_id: WriteId,
    usage: Arc<Usage>,
}

/// Identifies a write of a narrow key's file: the run of the daemon, and the number of the write in that run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct WriteId {
    pub(super) run: [u8; 16],
    pub(super) number: u64,
}

/// The contents of a file.
pub(super) struct Loaded {
    pub(super) kept: Kept,
    pub(super) page: Option<Page>,
    pub(super) expires_at: u64,
    /// Only for a narrow key.
    pub(super) write_id: Option<WriteId>,
}

impl Indexed {
    pub(super) fn new(kept: &Kept, page: Option<Page>, expires_at: u64, write_id: WriteId) -> Self {
        let narrow = match &kept.secret {
            KeptSecret::Resumption { .. } => None,
            KeptSecret::Narrow { usage, .. } => Some(NarrowFile { write_id, usage: Arc::clone(usage) }),
        };
        Self { expires_at, origin: Arc::clone(&kept.origin), page, narrow }
    }

    /// Whether the viewer may see it and it has not expired by `now`, in Unix seconds.
    pub(super) fn is_shown(&self, viewer: &Viewer, now: u64) -> bool {
        self.expires_at > now && viewer.sees(self.page.as_ref())
    }

    /// The contents of the file, with the parts that are shared in memory replacing its own. Of a narrow key, only
    /// the latest written file is used: how much the key of any other file has encrypted is not known.
    pub(super) fn share_with(&self, loaded: Loaded) -> Result<Kept, Unusable> {
        let Kept { origin, secret } = loaded.kept;
        match (secret, &self.narrow) {
            (KeptSecret::Narrow { key, .. }, Some(NarrowFile { write_id, usage }))
                if loaded.write_id == Some(*write_id) =>
            {
                let secret = KeptSecret::Narrow { key, usage: Arc::clone(usage) };
                Ok(Kept { origin: Arc::clone(&self.origin), secret })
            }
            (KeptSecret::Narrow { .. }, _) => Err(Unusable::Earlier),
            (secret, _) => Ok(Kept { origin: self.shared(origin), secret }),
        }
    }

    /// If someone replaced the file with an older one of this daemon, the contents of that file count.
    fn shared(&self, read: Arc<KeyOrigin>) -> Arc<KeyOrigin> {
        if read == self.origin { Arc::clone(&self.origin) } else { read }
    }
}
