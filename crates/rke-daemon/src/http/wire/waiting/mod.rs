//! Waits for a connection's client, until it is overdue or the daemon stops. The wakers for both are registered
//! once and stay, because each request has a wait.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use tokio::sync::watch;
use tokio::task::coop::has_budget_remaining;
use tokio::task::yield_now;
use tokio::time::{Duration, Instant, Sleep, sleep};

/// Why a wait ended early.
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
    /// Reset only when it has run out, so moving the deadline with each request costs nothing.
    clock: Pin<Box<Sleep>>,
    stop: watch::Receiver<bool>,
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
    /// The task that wakes when the clock runs out or the daemon stops.
    to_wake: Option<Waker>,
}

impl Waiting {
    /// Starts now. `limit` applies to each wait.
    pub(super) fn new(limit: Duration, stop: watch::Receiver<bool>) -> Self {
        let mut stopping = stop.clone();
        let stopped = async move {
            // Without a sender, nothing keeps the daemon running either.
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

    /// Gives the client its whole time again, from `moment` on.
    pub(super) fn renew(&mut self, moment: Instant) {
        self.deadline = moment + self.limit;
    }

    /// Waits for data from the client, or until the daemon stops. A client that always has a next request ready is
    /// stopped too.
    pub(super) async fn or_stop<T>(
        &mut self,
        work: impl Future<Output = io::Result<T>>,
    ) -> Result<io::Result<T>, End> {
        if *self.stop.borrow() {
            return Err(End::Stopped);
        }
        self.wait(work, Self::poll_end).await
    }

    /// Waits until the client has taken data.
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
                    // The clock wakes nobody until it is polled again.
                    self.to_wake = None;
                }
                // On a busy machine the runtime may be as late as the client, so this checks once more.
                Err(End::Overdue) if !is_overdue => {
                    is_overdue = true;
                    yield_now().await;
                }
                ended => return ended,
            }
        }
    }

    /// Polls the clock and the stop signal only if one of them is ready or another task must be woken than before.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        let is_set_up = self.to_wake.as_ref().is_some_and(|waker| waker.will_wake(cx.waker()));
        if is_set_up && !self.clock.is_elapsed() && self.stop.has_changed().is_ok_and(|changed| !changed) {
            return Poll::Pending;
        }
        // A task that has used up its budget is woken at once, and then neither is really polled.
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
mod tests;
