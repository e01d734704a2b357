//! Secrets and what may happen to them. A [`Secret`] is a handle to a slot in memory that is locked
//! and, where the kernel can, hidden from everybody; its bytes are only ever touched on a scratch
//! stack that is wiped afterwards, together with the registers. `docs/erasure.md` says what that is
//! worth and how it is tested.
//!
//! ```
//! use rke_secret::{Secret, SecretError};
//!
//! # fn main() -> Result<(), SecretError> {
//! // Drawn where it stays. Moving the value moves a handle, and no secret.
//! let key = Secret::<32>::random()?;
//! let same = key.duplicate()?;
//! assert!(key.matches(&same), "compared in constant time");
//!
//! // The one door in. What comes out is for everybody to see, so never bytes of the secret.
//! assert_eq!(key.expose(|bytes| bytes.len()), 32);
//!
//! // A handle outlives the secret, and is refused from then on.
//! let handle = key.handle();
//! assert_eq!(handle.expose(|bytes| bytes.len()), Some(32));
//! drop(key);
//! assert_eq!(handle.expose(|bytes| bytes.len()), None);
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "controls")]
pub mod control;
mod error;
mod lock;
mod memory;
pub mod process;
mod random;
mod raw;
pub mod residue;
mod secret;
mod stacks;

pub use error::SecretError;
pub use memory::{
    MemoryReport, SecretMemory, apart, measure_for_kem, measure_scoped, scoped, scoped_for_kem, start,
};
pub use random::fill_random;
#[cfg(feature = "trace")]
pub use raw::trace;
pub use secret::{Secret, SecretBuffer, SecretHandle, StackUse};
