//! Whether a data directory can be written.

use std::path::Path;

use rustix::fs::{Access, access, statvfs};

/// The fault that prevents new files in a data directory. The check writes nothing.
pub fn write_fault(data_dir: &Path) -> Option<&'static str> {
    if access(data_dir, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Some("the data directory cannot be written");
    }
    match statvfs(data_dir) {
        Ok(disk) if disk.f_bavail == 0 => Some("the data directory's disk is full"),
        _ => None,
    }
}
