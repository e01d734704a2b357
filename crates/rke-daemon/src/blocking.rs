//! Work that blocks, off the runtime's threads. Its log lines belong to the request that it is done for.

use tokio::task::JoinHandle;
use tracing::Span;

/// As tokio's function of this name, within the span of the caller.
pub(crate) fn spawn_blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}
