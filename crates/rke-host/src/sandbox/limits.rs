//! Limits of what a process may take of the machine, where it needs nothing.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the programs never use: message queues, and priorities over other processes.
const UNUSED: [Resource; 3] = [Resource::Msgqueue, Resource::Rtprio, Resource::Nice];

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
