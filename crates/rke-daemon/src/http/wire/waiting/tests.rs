use std::future::pending;

use tokio::task::coop::poll_proceed;
use tokio::time::{advance, timeout};

use super::*;

const LIMIT: Duration = Duration::from_millis(200);
/// Much longer than any wait here.
const LONG: Duration = Duration::from_secs(20);
/// Timers are accurate to a millisecond.
const TICKS: Duration = Duration::from_millis(5);

fn waiting() -> (watch::Sender<bool>, Waiting) {
    let (stop, stopped) = watch::channel(false);
    (stop, Waiting::new(LIMIT, stopped))
}

async fn at(moment: Instant) -> io::Result<()> {
    tokio::time::sleep_until(moment).await;
    Ok(())
}

/// How a wait without data ends.
async fn end_of(waiting: &mut Waiting) -> Option<End> {
    timeout(LONG, waiting.or_stop(pending::<io::Result<()>>())).await.expect("an end").err()
}

#[tokio::test(start_paused = true)]
async fn a_client_has_its_time_from_when_it_was_renewed_and_no_longer() {
    let (_stop, mut waiting) = waiting();
    let began = Instant::now();
    for step in 1..5 {
        let moment = began + step * LIMIT / 2;
        waiting.or_stop(at(moment)).await.expect("in time").expect("done");
        waiting.renew(moment);
    }
    assert_eq!(end_of(&mut waiting).await, Some(End::Overdue));
    let is_now = |time| (time..time + TICKS).contains(&began.elapsed());
    assert!(is_now(3 * LIMIT), "{:?}", began.elapsed());
    waiting.renew(Instant::now());
    let written = timeout(LONG, waiting.in_time(pending::<io::Result<()>>())).await;
    assert_eq!(written.expect("an end").err(), Some(End::Overdue));
    assert!(is_now(4 * LIMIT), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_comes_when_the_clock_runs_out_leaves_the_next_wait_bounded() {
    let (_stop, mut waiting) = waiting();
    let late = Instant::now() + LIMIT;
    // The first of these waits sets up the clock. In the second, it runs out unnoticed.
    waiting.or_stop(yield_now_and_be_done()).await.expect("in time").expect("done");
    advance(LIMIT).await;
    waiting.or_stop(at(late)).await.expect("in time").expect("done");
    waiting.renew(Instant::now());
    assert_eq!(end_of(&mut waiting).await, Some(End::Overdue));
}

async fn yield_now_and_be_done() -> io::Result<()> {
    yield_now().await;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn it_ends_when_the_daemon_stops_but_not_what_is_on_its_way() {
    let (stop, mut waiting) = waiting();
    waiting.limit = LONG;
    waiting.renew(Instant::now());
    waiting.or_stop(yield_now_and_be_done()).await.expect("in time").expect("done");
    let sender = tokio::spawn(async move {
        yield_now().await;
        stop.send(true).expect("sent");
        stop
    });
    assert_eq!(end_of(&mut waiting).await, Some(End::Stopped));
    let _stop = sender.await.expect("sent");
    assert_eq!(waiting.or_stop(async { Ok(()) }).await.err(), Some(End::Stopped));
    assert!(waiting.in_time(at(Instant::now() + LIMIT)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_task_without_budget_is_woken_all_the_same() {
    let (_stop, mut waiting) = waiting();
    let mut has_budget = true;
    let use_up = poll_fn(move |cx| {
        // Using up the budget makes the runtime poll the task again at once. After that, nothing arrives.
        while let (true, Poll::Ready(one)) = (has_budget, poll_proceed(cx)) {
            one.made_progress();
        }
        has_budget = false;
        Poll::<io::Result<()>>::Pending
    });
    let end = timeout(LONG, tokio::spawn(async move { waiting.or_stop(use_up).await.err() })).await;
    assert_eq!(end.expect("an end").expect("ended"), Some(End::Overdue));
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_now_is_woken() {
    let (_stop, mut waiting) = waiting();
    let _ = timeout(LIMIT / 10, waiting.or_stop(pending::<io::Result<()>>())).await;
    let other = tokio::spawn(async move { end_of(&mut waiting).await });
    assert_eq!(other.await.expect("ended"), Some(End::Overdue));
}
