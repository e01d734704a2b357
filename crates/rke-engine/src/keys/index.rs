//! What is kept in memory of each file of the cache, and how what the file says is held against it.

use std::sync::Arc;

use super::aside::Unusable;
use crate::exchange::{Kept, KeptSecret};
use crate::model::key_origin::KeyOrigin;
use crate::model::usage::Usage;
use crate::model::viewer::{Page, Viewer};

/// What is kept in memory of an existing file.
pub(super) struct Indexed {
    /// Unix seconds.
    pub(super) expires_at: u64,
    /// Shared with the sessions that come from it.
    pub(super) origin: Arc<KeyOrigin>,
    /// The page that the exchange was made for, if one had asked.
    pub(super) page: Option<Page>,
    pub(super) narrow: Option<NarrowFile>,
}

/// A narrow key's file, and what the key has encrypted, which is shared with the sessions that hold it. It is known
/// here alone: no later run of the daemon uses the key.
pub(super) struct NarrowFile {
    written: Written,
    usage: Arc<Usage>,
}

/// Which write of a narrow key's file it is: of which run of the daemon, and which of its writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) run: [u8; 16],
    pub(super) number: u64,
}

/// What is in a file.
pub(super) struct Loaded {
    pub(super) kept: Kept,
    pub(super) page: Option<Page>,
    pub(super) expires_at: u64,
    /// Of a narrow key.
    pub(super) written: Option<Written>,
}

impl Indexed {
    pub(super) fn new(kept: &Kept, page: Option<Page>, expires_at: u64, written: Written) -> Self {
        let narrow = match &kept.secret {
            KeptSecret::Resumption { .. } => None,
            KeptSecret::Narrow { usage, .. } => Some(NarrowFile { written, usage: Arc::clone(usage) }),
        };
        Self { expires_at, origin: Arc::clone(&kept.origin), page, narrow }
    }

    /// Whether the viewer may see it and it has not expired by `now`, in Unix seconds.
    pub(super) fn is_shown(&self, viewer: &Viewer, now: u64) -> bool {
        self.expires_at > now && viewer.sees(self.page.as_ref())
    }

    /// What was read from the file, with what is shared in memory in place of its own. Of a narrow key only the file that
    /// was written last is used: how much the key of another one has encrypted is not known.
    pub(super) fn share_with(&self, loaded: Loaded) -> Result<Kept, Unusable> {
        let Kept { origin, secret } = loaded.kept;
        match (secret, &self.narrow) {
            (KeptSecret::Narrow { key, .. }, Some(NarrowFile { written, usage }))
                if loaded.written == Some(*written) =>
            {
                let secret = KeptSecret::Narrow { key, usage: Arc::clone(usage) };
                Ok(Kept { origin: Arc::clone(&self.origin), secret })
            }
            (KeptSecret::Narrow { .. }, _) => Err(Unusable::Earlier),
            (secret, _) => Ok(Kept { origin: self.shared(origin), secret }),
        }
    }

    /// Where somebody has put an older file of this daemon there, what that file says counts.
    fn shared(&self, read: Arc<KeyOrigin>) -> Arc<KeyOrigin> {
        if read == self.origin { Arc::clone(&self.origin) } else { read }
    }
}
