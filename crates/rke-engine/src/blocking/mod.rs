//! Blocking work, off the runtime's threads. Its log lines belong to the request that it is done for.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::Span;

/// Like tokio's function of this name, within the caller's span.
pub(crate) fn spawn_blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}

/// For work that hundreds of callers may request at once: some of it runs at one time, and the rest waits without a
/// thread. A thread has a stack and, up to some number of threads, a heap of its own, whose memory stays with the
/// process.
pub(crate) struct FewAtOnce(Arc<Semaphore>);

impl FewAtOnce {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// The result of `work`. The work keeps its turn until it ends, even if nobody waits for it.
    pub(crate) async fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce() -> R + Send + 'static,
    ) -> Option<R> {
        let turn = Arc::clone(&self.0).acquire_owned().await.ok()?;
        let work = move || {
            let done = work();
            drop(turn);
            done
        };
        spawn_blocking(work).await.ok()
    }
}

#[cfg(test)]
mod tests;
