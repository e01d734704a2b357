//! The task that wipes expired sessions. It sleeps until the earliest deadline.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::StoreInner;
use crate::model::clock::{Alarm, Moment};

/// The shortest sleep. Sessions whose deadlines follow each other closely are swept together.
const SHORTEST_SLEEP: Duration = Duration::from_millis(2);

/// While the sweeper is awake, every new deadline is earlier than this, so the insertion notifies it.
pub(super) const AWAKE: u64 = u64::MAX;

pub(super) async fn sweep(shared: Arc<StoreInner>) {
    let alarm = Alarm::new();
    loop {
        // The order matters: a session that is inserted into a shard after its sweep reads `AWAKE` and wakes the
        // sweeper.
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

/// Without an alarm, sessions that expired while the machine was suspended are swept late; their use is rejected
/// anyway.
async fn sleep_until(deadline: Moment, now: Moment, alarm: Option<&Alarm>) {
    if let Some(alarm) = alarm {
        match alarm.wait_until(deadline).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "cannot wait on the clock that counts sleep"),
        }
    }
    tokio::time::sleep(deadline.since(now)).await;
}
