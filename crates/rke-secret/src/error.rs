//! What can go wrong with secret memory.

use std::io;

/// Why there is no secret memory, or not enough.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The kernel has no memfd_secret, or forbids it.
    #[error(
        "this system gives no memfd_secret memory ({0}); it needs Linux 5.14 and, before 6.5, \
         secretmem.enable=1 on the kernel's command line. To run with locked memory instead, which root \
         can read, start with --secret-memory locked or auto"
    )]
    NoSecretmem(io::Error),
    /// The limit on locked memory is too low.
    #[error(
        "cannot lock {wanted_kib} KiB more of memory for secrets: the limit is {limit_kib} KiB. Raise it \
         with `ulimit -l`, LimitMEMLOCK= of a systemd unit or --ulimit memlock= of a container, or use a \
         lower --max-sessions"
    )]
    Limit {
        /// How much was to be locked.
        wanted_kib: u64,
        /// The limit of this process, RLIMIT_MEMLOCK.
        limit_kib: u64,
    },
    /// A filter of system calls refuses to lock memory, whatever the limit is.
    #[error(
        "cannot lock memory for secrets: a filter of system calls refuses mlock ({0}). Allow it in \
         SystemCallFilter= of the systemd unit or in the container's seccomp profile"
    )]
    Refused(io::Error),
    /// Secret memory is already set up, perhaps of another kind.
    #[error("secret memory is already in use")]
    AlreadyStarted,
    /// The system gave no random bytes.
    #[error("the system's random generator failed: {0}")]
    Random(#[from] getrandom::Error),
    /// The system refused another call.
    #[error("cannot {action}: {source}")]
    System {
        /// What was being done.
        action: &'static str,
        source: io::Error,
    },
}

impl From<SecretError> for io::Error {
    fn from(error: SecretError) -> Self {
        let kind = match &error {
            SecretError::NoSecretmem(_) => io::ErrorKind::Unsupported,
            SecretError::Limit { .. } => io::ErrorKind::OutOfMemory,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}
