//! Asks the processor for memory before it is needed.

/// How much a processor fetches at a time.
#[cfg(target_arch = "x86_64")]
const LINE: usize = 64;

/// Has the processor fetch a value that is needed soon, and does not wait for it; of one that does not begin with a
/// line, perhaps not the end. On processors for which Rust has no such instruction nothing happens.
pub fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    for at in (0..size_of::<T>()).step_by(LINE) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: within the value; and the instruction may be given any address.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(value).cast::<i8>().wrapping_add(at)) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
