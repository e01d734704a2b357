//! Work that blocks, off the runtime's threads. Its log lines belong to the request that it is done for.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tracing::Span;

/// As tokio's function of this name, within the span of the caller.
pub(crate) fn spawn_blocking<R: Send + 'static>(work: impl FnOnce() -> R + Send + 'static) -> JoinHandle<R> {
    let span = Span::current();
    tokio::task::spawn_blocking(move || span.in_scope(work))
}

/// Work of a kind that is wanted by hundreds at once: some of it is done at one time, and the rest waits without a
/// thread. A thread has a stack and, up to a number, a heap of its own, whose memory stays with the process.
pub(crate) struct FewAtOnce(Arc<Semaphore>);

impl FewAtOnce {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// What `work` gives. It keeps its turn to its end, also when nobody waits for it any more.
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
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::task::JoinSet;

    use super::*;

    #[tokio::test]
    async fn never_more_than_few_work_and_all_have_their_turn() {
        let (few, mut all) = (Arc::new(FewAtOnce::new(3)), JoinSet::new());
        let [now, most] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
        for number in 0..40 {
            let (few, now, most) = (Arc::clone(&few), Arc::clone(&now), Arc::clone(&most));
            all.spawn(async move {
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(5));
                    now.fetch_sub(1, Ordering::SeqCst);
                    number
                };
                // Half of those who wait go, while their work goes on.
                match number % 2 {
                    0 => few.run(work).await,
                    _ => tokio::time::timeout(Duration::from_millis(2), few.run(work)).await.ok().flatten(),
                }
            });
        }
        let done = all.join_all().await;
        assert_eq!(done.iter().flatten().filter(|number| **number % 2 == 0).count(), 20);
        assert_eq!(most.load(Ordering::SeqCst), 3);
    }
}
