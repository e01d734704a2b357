//! Waiting for instants that may have passed.

use tokio::time::{Instant, sleep_until};

/// Waits until then. Returns at once if that has passed, while tokio's timer would take one or two ticks of a millisecond.
pub async fn wait_until(at: Instant) {
    if at > Instant::now() {
        sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests;
