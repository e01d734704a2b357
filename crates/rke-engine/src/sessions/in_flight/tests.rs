use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use futures_util::poll;
use tokio::sync::oneshot;

use super::*;

#[tokio::test]
async fn a_creation_that_is_called_off_ends_and_later_ones_do_not() {
    let creations = Creations::new();
    let mut waiting = pin!(creations.run(async |_leave| std::future::pending::<()>().await));
    assert!(poll!(&mut waiting).is_pending(), "it runs");
    let mut calling_off = pin!(creations.call_off());
    assert!(poll!(&mut calling_off).is_pending(), "it still runs");
    assert_eq!(waiting.await, None);
    drop(calling_off.await);
    assert_eq!(creations.run(async |_leave| 7).await, Some(7));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calling_off_waits_for_work_on_other_threads() {
    let creations = Arc::new(Creations::new());
    let written = Arc::new(AtomicBool::new(false));
    let ((begun, has_begun), (go_on, goes_on)) = (oneshot::channel(), mpsc::channel());
    let creation = tokio::spawn({
        let (creations, written) = (Arc::clone(&creations), Arc::clone(&written));
        async move {
            let write = async move |leave: Leave| {
                let work = tokio::task::spawn_blocking(move || {
                    begun.send(()).expect("somebody waits");
                    goes_on.recv().expect("somebody lets it go on");
                    written.store(true, Ordering::SeqCst);
                    drop(leave);
                });
                work.await
            };
            creations.run(write).await.is_none()
        }
    });
    has_begun.await.expect("a creation");
    let mut calling_off = pin!(creations.call_off());
    assert!(poll!(&mut calling_off).is_pending());
    assert!(creation.await.expect("no panic"), "it is called off");
    assert!(poll!(&mut calling_off).is_pending(), "its work goes on");
    go_on.send(()).expect("work");
    let standstill = calling_off.await;
    assert!(written.load(Ordering::SeqCst));
    drop(standstill);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calling_off_waits_for_a_creation_in_its_last_step() {
    let creations = Arc::new(Creations::new());
    let inserted = Arc::new(AtomicBool::new(false));
    let ((begun, has_begun), (go_on, goes_on)) = (oneshot::channel(), mpsc::channel());
    let creation = tokio::spawn({
        let (creations, inserted) = (Arc::clone(&creations), Arc::clone(&inserted));
        async move {
            let insert = async move |leave: Leave| {
                drop(leave);
                begun.send(()).expect("somebody waits");
                goes_on.recv().expect("somebody lets it go on");
                inserted.store(true, Ordering::SeqCst);
            };
            creations.run(insert).await
        }
    });
    has_begun.await.expect("a creation");
    let mut calling_off = pin!(creations.call_off());
    assert!(poll!(&mut calling_off).is_pending(), "a session would be there after all were dropped");
    go_on.send(()).expect("a creation");
    drop(calling_off.await);
    assert!(inserted.load(Ordering::SeqCst), "a session would be there after all were dropped");
    assert_eq!(creation.await.expect("no panic"), Some(()));
}
