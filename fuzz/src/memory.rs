//! Measures a decoder's allocations. A length that a peer names must be checked before it is trusted, so a decoder of
//! datagrams allocates nothing at all, and one of texts an amount in proportion to the text.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Runs `work` and gives, with its result, the most bytes that it held allocated at one time.
pub fn peak<R>(work: impl FnOnce() -> R) -> (R, u64) {
    let mut outcome = None;
    // A panic must not pass through `measure`, which would go on counting.
    let measured = allocation_counter::measure(|| outcome = Some(catch_unwind(AssertUnwindSafe(work))));
    let result = outcome.expect("the work ran").unwrap_or_else(|panic| resume_unwind(panic));
    (result, measured.bytes_max)
}

/// Runs `work`, which must not allocate.
///
/// # Panics
/// If it does.
pub fn none<R>(work: impl FnOnce() -> R) -> R {
    let (result, bytes) = peak(work);
    assert_eq!(bytes, 0, "bytes allocated where none may be");
    result
}
