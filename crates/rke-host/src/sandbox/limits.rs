//! Limits of what a process may take of the machine, where it needs nothing.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the programs never use: message queues, and priorities over other processes.
const UNUSED: [Resource; 3] = [Resource::Msgqueue, Resource::Rtprio, Resource::Nice];

/// Lets this process open as many files as the system allows it to: shells and systemd start it with few of them, for
/// programs that cannot handle more. To be called before [`limit_resources`], which keeps what there is then. Gives the
/// limit as it was.
pub fn raise_open_files() -> Rlimit {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::debug!(%error, "the limit of open files stays as it is");
    }
    limit
}

/// Sets the limits of what is not used to nothing, and keeps that of open files from being raised any more.
///
/// # Errors
/// What the system said.
pub fn limit_resources() -> io::Result<()> {
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    UNUSED.into_iter().try_for_each(|resource| setrlimit(resource, nothing))?;
    let current = getrlimit(Resource::Nofile).current;
    Ok(setrlimit(Resource::Nofile, Rlimit { current, maximum: current })?)
}
