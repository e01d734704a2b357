//! Random bytes for what is needed by the thousand and is no secret, such as nonces. Always the kernel's
//! generator; a supply of the process's own would give bytes twice where a virtual machine is copied.

use crate::raw;

/// Fills `bytes` from the kernel's generator, without a call into the kernel where it offers that.
///
/// # Errors
/// When the system's generator fails.
pub fn fill_random(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    if raw::fill_random(bytes) { Ok(()) } else { getrandom::fill(bytes) }
}
