//! Answers that may go out together: where a client has sent several requests at once, the short answers to
//! them wait for each other. They never wait for anything else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What the one who answers tells the connection.
#[derive(Clone, Default)]
pub(super) struct Pipeline(Arc<AtomicBool>);

impl Pipeline {
    /// The answer that comes next is there as a whole. It may wait until no further request is at hand.
    pub(super) fn answer_is_whole(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether what is written is such an answer.
    pub(super) fn is_whole(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// The same, once for each answer.
    pub(super) fn take_whole(&self) -> bool {
        self.is_whole() && self.0.swap(false, Ordering::Relaxed)
    }
}
