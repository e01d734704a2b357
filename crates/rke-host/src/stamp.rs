//! The state of a file that programs read again when it has changed.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;

/// Identifies a state of a file: by its inode, its length, and when it changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: (u64, u64),
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The state that the file system describes.
    pub fn of(metadata: &Metadata) -> Self {
        Self {
            inode: (metadata.dev(), metadata.ino()),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// When anything about the file changed, in Unix seconds.
    pub fn changed(&self) -> i64 {
        self.changed.0
    }
}
