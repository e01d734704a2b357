//! How a connection waits for its client: until it is overdue, or the daemon stops. What wakes it for either
//! is set up once and stays, because there is a wait for each request.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::sync::watch;
use tokio::task::coop::has_budget_remaining;
use tokio::task::yield_now;
use tokio::time::{Duration, Instant, Sleep, sleep};

/// Why a wait has ended before what it was for had come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The client has taken too long.
    Overdue,
    /// The daemon is about to stop.
    Stopped,
}

/// The waits of one connection.
pub(super) struct Waiting {
    /// How long the client may take.
    limit: Duration,
    deadline: Instant,
    /// Set anew only when it has run out: a deadline that moves with each request costs nothing.
    clock: Pin<Box<Sleep>>,
    stop: watch::Receiver<bool>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// Who is woken when the clock has run out, and when the daemon stops.
    to_wake: Option<Waker>,
}

impl Waiting {
    /// From now on, for `limit` at a time.
    pub(super) fn new(limit: Duration, stop: watch::Receiver<bool>) -> Self {
        let mut stopping = stop.clone();
        let stopped = async move {
            // Without a sender nobody keeps the daemon running either.
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        Self {
            limit,
            deadline: Instant::now() + limit,
            clock: Box::pin(sleep(limit)),
            stop,
            stopped: Box::pin(stopped),
            to_wake: None,
        }
    }

    /// The client has its whole time again, from `moment` on.
    pub(super) fn renew(&mut self, moment: Instant) {
        self.deadline = moment + self.limit;
    }

    /// Waits for something of the client, or until the daemon stops: who always has a next request at hand is
    /// told to stop too.
    pub(super) async fn or_stop<T>(
        &mut self,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<io::Result<T>, End> {
        if *self.stop.borrow() {
            return Err(End::Stopped);
        }
        self.wait(work, Self::poll_end).await
    }

    /// Waits until the client has taken something.
    pub(super) async fn in_time<T>(
        &mut self,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<io::Result<T>, End> {
        self.wait(work, |waiting, cx| waiting.clock.as_mut().poll(cx).map(|()| End::Overdue)).await
    }

    async fn wait<T>(
        &mut self,
        work: impl Future<Output = io::Result<T>>,
        poll_end: impl Fn(&mut Self, &mut Context<'_>) -> Poll<End>,
    ) -> Result<io::Result<T>, End> {
        let (mut work, mut is_overdue) = (pin!(work), false);
        loop {
            let waited = poll_fn(|cx| match work.as_mut().poll(cx) {
                Poll::Ready(done) => Poll::Ready(Ok(done)),
                Poll::Pending => poll_end(self, cx).map(Err),
            });
            match waited.await {
                Err(End::Overdue) if self.deadline > Instant::now() => {
                    self.clock.as_mut().reset(self.deadline);
                    // It wakes nobody until it is polled again.
                    self.to_wake = None;
                }
                // On a busy machine the runtime may be as late as the client: it looks once more.
                Err(End::Overdue) if !is_overdue => {
                    is_overdue = true;
                    yield_now().await;
                }
                ended => return ended,
            }
        }
    }

    /// Both are polled when one of them is there, or somebody else is to be woken than the last time.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let is_set_up = self.to_wake.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_set_up && !self.clock.is_elapsed() && self.stop.has_changed().is_ok_and(|changed| !changed) {
            return Poll::Pending;
        }
        // A task that has used up its budget is woken at once, and neither is really polled.
        let is_polled = has_budget_remaining();
        self.to_wake = None;
        if self.stopped.as_mut().poll(cx).is_ready() {
            return Poll::Ready(End::Stopped);
        }
        if self.clock.as_mut().poll(cx).is_pending() {
            self.to_wake = is_polled.then(|| cx.waker().clone());
            return Poll::Pending;
        }
        Poll::Ready(End::Overdue)
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::task::coop::poll_proceed;
    use tokio::time::timeout;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);
    /// Much longer than any wait here, on however busy a machine.
    const LONG: Duration = Duration::from_secs(20);

    fn waiting() -> (watch::Sender<bool>, Waiting) {
        let (stop, stopped) = watch::channel(false);
        (stop, Waiting::new(LIMIT, stopped))
    }

    async fn at(moment: Instant) -> io::Result<()> {
        tokio::time::sleep_until(moment).await;
        Ok(())
    }

    /// How a wait for nothing ends.
    async fn end_of(waiting: &mut Waiting) -> Option<End> {
        timeout(LONG, waiting.or_stop(pending::<io::Result<()>>())).await.expect("an end").err()
    }

    #[tokio::test]
    async fn a_client_has_its_time_from_when_it_was_renewed_and_no_longer() {
        let (_stop, mut waiting) = waiting();
        let began = Instant::now();
        for step in 1..5 {
            let moment = began + step * LIMIT / 2;
            waiting.or_stop(at(moment)).await.expect("in time").expect("done");
            // However late it is.
            waiting.renew(Instant::now());
        }
        assert_eq!(end_of(&mut waiting).await, Some(End::Overdue));
        assert!(began.elapsed() >= 3 * LIMIT);
        waiting.renew(Instant::now());
        let written = timeout(LONG, waiting.in_time(pending::<io::Result<()>>())).await;
        assert_eq!(written.expect("an end").err(), Some(End::Overdue));
        assert!(began.elapsed() >= 4 * LIMIT);
    }

    #[tokio::test]
    async fn what_comes_when_the_clock_runs_out_leaves_the_next_wait_bounded() {
        let (_stop, mut waiting) = waiting();
        let late = Instant::now() + LIMIT;
        // The clock is set up by the first of these waits, and runs out unseen in the second.
        waiting.or_stop(yield_now_and_be_done()).await.expect("in time").expect("done");
        std::thread::sleep(LIMIT);
        waiting.or_stop(at(late)).await.expect("in time").expect("done");
        waiting.renew(Instant::now());
        assert_eq!(end_of(&mut waiting).await, Some(End::Overdue));
    }

    async fn yield_now_and_be_done() -> io::Result<()> {
        yield_now().await;
        Ok(())
    }

    #[tokio::test]
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

    #[tokio::test]
    async fn a_task_without_budget_is_woken_all_the_same() {
        let (_stop, mut waiting) = waiting();
        let mut has_budget = true;
        let use_up = poll_fn(move |cx| {
            // The task is polled again at once because of that; from then on nothing comes.
            while let (true, Poll::Ready(one)) = (has_budget, poll_proceed(cx)) {
                one.made_progress();
            }
            has_budget = false;
            Poll::<io::Result<()>>::Pending
        });
        let end = timeout(LONG, tokio::spawn(async move { waiting.or_stop(use_up).await.err() })).await;
        assert_eq!(end.expect("an end").expect("ended"), Some(End::Overdue));
    }

    #[tokio::test]
    async fn whoever_waits_now_is_woken() {
        let (_stop, mut waiting) = waiting();
        let _ = timeout(LIMIT / 10, waiting.or_stop(pending::<io::Result<()>>())).await;
        let other = tokio::spawn(async move { end_of(&mut waiting).await });
        assert_eq!(other.await.expect("ended"), Some(End::Overdue));
    }
}
