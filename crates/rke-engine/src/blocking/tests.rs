use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::time::Duration;

use tokio::time::timeout;

use super::*;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

const MOST: usize = 3;

#[tokio::test]
async fn never_more_than_few_work_and_all_have_their_turn() {
    let (few, mut all) = (Arc::new(FewAtOnce::new(MOST)), Vec::new());
    let [now, most] = [(); 2].map(|()| Arc::new(AtomicUsize::new(0)));
    let ((begun, mut has_begun), (go_on, goes_on)) =
        (tokio::sync::mpsc::unbounded_channel(), mpsc::channel::<()>());
    let goes_on = Arc::new(Mutex::new(goes_on));
    for number in 0..40_usize {
        let (few, now, most) = (Arc::clone(&few), Arc::clone(&now), Arc::clone(&most));
        let (begun, goes_on) = (begun.clone(), Arc::clone(&goes_on));
        let work = move || {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            begun.send(()).expect("somebody waits");
            // Nothing is sent: this returns once the sender is gone.
            let _ = goes_on.lock().unwrap_or_else(PoisonError::into_inner).recv();
            now.fetch_sub(1, Ordering::SeqCst);
            number
        };
        all.push(tokio::spawn(async move { few.run(work).await }));
    }
    for _ in 0..MOST {
        timeout(LONG, has_begun.recv()).await.expect("in time").expect("work");
    }
    // Half of the waiting tasks are aborted, and half of those whose work is running. Running work keeps its turn.
    all.iter().skip(1).step_by(2).for_each(JoinHandle::abort);
    tokio::task::yield_now().await;
    assert_eq!((few.0.available_permits(), has_begun.try_recv().is_err()), (0, true), "no turn is free");
    drop(go_on);
    for (number, task) in all.into_iter().enumerate() {
        let done = timeout(LONG, task).await.expect("in time");
        assert_eq!(done.ok(), (number % 2 == 0).then_some(Some(number)));
    }
    assert_eq!(most.load(Ordering::SeqCst), MOST);
}
