//! The creations of sessions that run. All of them can be called off, and then none leaves a session or
//! a cached key behind, not even one whose file is being written at that moment.

use std::sync::Arc;

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, watch};

/// All that run.
pub(crate) struct Creations {
    running: Arc<RwLock<()>>,
    called_off: watch::Sender<u64>,
}

/// Held by everything that works for a creation, work on other threads included: until the last of it
/// is dropped, whoever calls creations off waits.
pub(crate) type Leave = Arc<OwnedRwLockReadGuard<()>>;

/// As long as this lives, no creation begins.
pub(crate) type Standstill = OwnedRwLockWriteGuard<()>;

impl Creations {
    pub(crate) fn new() -> Self {
        Self { running: Arc::default(), called_off: watch::Sender::new(0) }
    }

    /// Runs a creation to its end. `None` where it was called off.
    pub(crate) async fn run<T>(&self, create: impl AsyncFnOnce(Leave) -> T) -> Option<T> {
        let mut called_off = self.called_off.subscribe();
        let leave = Arc::new(Arc::clone(&self.running).read_owned().await);
        // The creation may give its own away before its last step, and what it holds goes only when this does.
        let _to_its_end = Arc::clone(&leave);
        tokio::select! {
            biased;
            _ = called_off.changed() => None,
            created = create(leave) => Some(created),
        }
    }

    /// Calls off all that run, and waits until nothing works for them any more.
    pub(crate) async fn call_off(&self) -> Standstill {
        self.called_off.send_modify(|times| *times += 1);
        Arc::clone(&self.running).write_owned().await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    use super::*;

    /// Returns once a creation runs.
    async fn begun(creations: &Creations) {
        while creations.running.try_write().is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    #[tokio::test]
    async fn a_creation_that_is_called_off_ends_and_later_ones_do_not() {
        let creations = Arc::new(Creations::new());
        let waiting = tokio::spawn({
            let creations = Arc::clone(&creations);
            async move { creations.run(async |_leave| std::future::pending::<()>().await).await }
        });
        begun(&creations).await;
        drop(creations.call_off().await);
        assert_eq!(waiting.await.expect("no panic"), None);
        assert_eq!(creations.run(async |_leave| 7).await, Some(7));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn calling_off_waits_for_work_on_other_threads() {
        let creations = Arc::new(Creations::new());
        let written = Arc::new(AtomicBool::new(false));
        let creation = tokio::spawn({
            let (creations, written) = (Arc::clone(&creations), Arc::clone(&written));
            async move {
                let write = async |leave: Leave| {
                    let work = tokio::task::spawn_blocking(move || {
                        std::thread::sleep(Duration::from_millis(100));
                        written.store(true, Ordering::SeqCst);
                        drop(leave);
                    });
                    work.await
                };
                creations.run(write).await.is_none()
            }
        });
        begun(&creations).await;
        let standstill = creations.call_off().await;
        assert!(written.load(Ordering::SeqCst));
        assert!(creation.await.expect("no panic"));
        drop(standstill);
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn calling_off_waits_for_a_creation_in_its_last_step() {
        let creations = Arc::new(Creations::new());
        let [is_last_step, inserted] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let creation = tokio::spawn({
            let (creations, is_last_step, inserted) =
                (Arc::clone(&creations), Arc::clone(&is_last_step), Arc::clone(&inserted));
            async move {
                let insert = async |leave: Leave| {
                    drop(leave);
                    is_last_step.store(true, Ordering::SeqCst);
                    std::thread::sleep(Duration::from_millis(100));
                    inserted.store(true, Ordering::SeqCst);
                };
                creations.run(insert).await
            }
        });
        while !is_last_step.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        drop(creations.call_off().await);
        assert!(inserted.load(Ordering::SeqCst), "a session would be there after all were dropped");
        assert_eq!(creation.await.expect("no panic"), Some(()));
    }
}
