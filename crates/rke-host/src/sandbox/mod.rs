//! What a program that serves others gives up, so that whoever takes it over has little of the machine: files (Landlock),
//! system calls (a seccomp filter) and limits of its resources. New privileges it has given up before
//! ([`rke_secret::process::harden`]). Nothing here can be taken back.
//!
//! It is done in two steps. [`limit_files`] holds for the calling thread and those that it starts, so it comes before any
//! other thread does. [`limit_calls`] holds for all threads, and comes when the program has started: what only a start
//! needs is refused from then on.

mod calls;
mod files;
mod limits;

use std::sync::OnceLock;

pub use self::calls::limit_calls;
pub use self::files::{Files, Reading, limit_files};
pub use self::limits::{limit_resources, raise_open_files};

/// What Landlock refuses, once it does.
static LANDLOCK: OnceLock<Landlock> = OnceLock::new();

/// Set once the filter holds.
static SECCOMP: OnceLock<()> = OnceLock::new();

/// Why the kernel does not confine the process, as it says.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// Landlock is missing, or too old.
    #[error(
        "this system does not limit which files a program may use: Landlock, which is part of Linux since 5.19, is \
         missing, switched off or forbidden ({0})"
    )]
    Files(String),
    /// Filters of system calls are missing.
    #[error(
        "this system does not limit which system calls a program may make: seccomp filters are missing or forbidden ({0})"
    )]
    Calls(String),
}

/// What the kernel refuses this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posture {
    /// Of files.
    pub landlock: Landlock,
    /// Whether the filter of system calls holds.
    pub seccomp: bool,
    /// Whether programs that it would start could not gain privileges.
    pub no_new_privs: bool,
}

/// What Landlock refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Landlock {
    /// Nothing.
    #[default]
    Off,
    /// Writing outside the folders for it.
    Writes,
    /// Writing and reading outside the folders for it.
    ReadsAndWrites,
}

impl Landlock {
    /// As the HTTP API names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Writes => "writes",
            Self::ReadsAndWrites => "reads_and_writes",
        }
    }
}

impl Posture {
    /// That of this process now.
    pub fn now() -> Self {
        Self {
            landlock: LANDLOCK.get().copied().unwrap_or_default(),
            seccomp: SECCOMP.get().is_some(),
            no_new_privs: rustix::thread::no_new_privs().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests;
