//! The task that wipes what has come to its end. It sleeps until the next deadline of all.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Shared;
use crate::model::clock::{Alarm, Moment};

/// How long it sleeps at least: where deadlines follow each other closely, those of a while go together.
const SHORTEST_SLEEP: Duration = Duration::from_millis(2);

/// When the sweeper is not asleep, each new deadline is earlier than the one it will sleep for.
pub(super) const AWAKE: u64 = u64::MAX;

pub(super) async fn sweep(shared: Arc<Shared>) {
    let alarm = Alarm::new();
    loop {
        // In this order: whoever adds a session after its part was looked at sees this, and wakes the sweeper.
        shared.sleeps_until.store(AWAKE, Ordering::SeqCst);
        let now = Moment::now();
        let next = shared.sweep(now).map(|next| next.max(now.after(SHORTEST_SLEEP)));
        let until = next.map_or(AWAKE, Moment::nanos);
        shared.sleeps_until.store(until, Ordering::SeqCst);
        match next {
            Some(deadline) => tokio::select! {
                () = sleep_until(deadline, now, alarm.as_ref().ok()) => (),
                () = shared.earlier_deadline.notified() => (),
            },
            None => shared.earlier_deadline.notified().await,
        }
    }
}

/// Without an alarm, what fell due while the machine slept is swept later; it is refused all the same.
async fn sleep_until(deadline: Moment, now: Moment, alarm: Option<&Alarm>) {
    if let Some(alarm) = alarm {
        match alarm.wait_until(deadline).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "cannot wait on the clock that counts sleep"),
        }
    }
    tokio::time::sleep(deadline.since(now)).await;
}
