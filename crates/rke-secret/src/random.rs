//! Random bytes for frequent values that are not secret, such as nonces. They always come from the kernel's generator; a
//! supply of the process's own would repeat bytes if a virtual machine is copied.

use crate::raw;

/// Fills `bytes` from the kernel's generator, without a system call if the kernel supports it.
///
/// # Errors
/// When the system's generator fails.
pub fn fill_random(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    if raw::fill_random(bytes) { Ok(()) } else { getrandom::fill(bytes) }
}
