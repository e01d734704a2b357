//! Resource limits of a process for what it does not need.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Resources that the programs never use: message queues, and priorities over other processes.
const UNUSED: [Resource; 3] = [Resource::Msgqueue, Resource::Rtprio, Resource::Nice];

/// Raises the limit of open files to the maximum of this process: shells and systemd set a low one, for
/// programs that cannot handle more. Call it before [`limit_resources`], which freezes the limit. Returns the
/// previous limit.
pub fn raise_open_files() -> Rlimit {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    limit
}

/// Sets the limits of unused resources to zero, and freezes that of open files.
///
/// # Errors
/// The system's error.
pub fn limit_resources() -> io::Result<()> {
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    UNUSED.into_iter().try_for_each(|resource| setrlimit(resource, nothing))?;
    let current = getrlimit(Resource::Nofile).current;
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum: current })?)
}
