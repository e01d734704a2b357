//! The rights that a serving program gives up, so that an attacker who takes it over gains little: files (Landlock),
//! system calls (a seccomp filter) and resource limits. New privileges are given up before, by
//! [`rke_secret::process::harden`]. None of this can be undone.
//!
//! It takes two steps. [`limit_files`] applies to the calling thread and those that it starts, so it comes before any
//! other thread. [`limit_calls`] applies to all threads, and comes when the program has started: calls that only the start
//! needs are refused from then on.

mod calls;
mod files;
mod limits;

use std::sync::OnceLock;

pub use self::calls::limit_calls;
pub use self::files::{Files, Reading, limit_files};
pub use self::limits::{limit_resources, raise_open_files};

/// What Landlock refuses, once it is in force.
static LANDLOCK: OnceLock<Landlock> = OnceLock::new();

/// Set once the filter is in force.
static SECCOMP: OnceLock<()> = OnceLock::new();

/// Why the kernel does not confine the process.
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
    /// Access to files.
    pub landlock: Landlock,
    /// Whether the filter of system calls is in force.
    pub seccomp: bool,
    /// Whether programs that it starts cannot gain privileges.
    pub no_new_privs: bool,
}

/// What Landlock refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Landlock {
    /// Nothing.
    #[default]
    Off,
    /// Writing outside the allowed folders.
    Writes,
    /// Writing and reading outside the allowed folders.
    ReadsAndWrites,
}

impl Landlock {
    /// Its name in the HTTP API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Writes => "writes",
            Self::ReadsAndWrites => "reads_and_writes",
        }
    }
}

impl Posture {
    /// The current state of this process.
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
