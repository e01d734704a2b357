//! Secret bytes and their life. A [`Secret`] is a handle to a slot in memory that is locked and, if the kernel supports
//! it, hidden from every other process. Code touches its bytes only on a scratch stack, which is wiped afterwards together
//! with the registers. `docs/erasure.md` says what that promises and how it is tested.
//!
//! ```
//! use rke_secret::{Secret, SecretError};
//!
//! # fn main() -> Result<(), SecretError> {
//! // Drawn in place. Moving the value moves a handle, not the secret.
//! let key = Secret::<32>::random()?;
//! let same = key.duplicate()?;
//! assert!(key.matches(&same), "compared in constant time");
//!
//! // The only access. The result is not secret, so never return bytes of the secret.
//! assert_eq!(key.expose(|bytes| bytes.len()), 32);
//!
//! // A handle may outlive the secret; using it then returns `None`.
//! let handle = key.handle();
//! assert_eq!(handle.expose(|bytes| bytes.len()), Some(32));
//! drop(key);
//! assert_eq!(handle.expose(|bytes| bytes.len()), None);
//! # Ok(())
//! # }
//! ```

mod error;
#[cfg(feature = "fault-injection")]
pub mod fault_injection;
mod lock;
mod memory;
pub mod memory_scan;
pub mod process;
mod random;
mod raw;
mod secret;
mod stacks;

pub use error::SecretError;
pub use memory::{
    MemoryReport, SecretMemory, measure_for_kem, measure_scoped, run_unscoped, scoped, scoped_for_kem, start,
};
pub use random::fill_random;
#[cfg(feature = "trace")]
pub use raw::trace;
pub use secret::{Secret, SecretBuffer, SecretHandle, StackUse};
