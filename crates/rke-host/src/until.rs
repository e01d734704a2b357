//! Waiting for moments that may have come already.

use tokio::time::{Instant, sleep_until};

/// Waits until then. Where that has come already it waits for nothing: tokio's timer, which has ticks of a millisecond,
/// would take one or two of them.
pub async fn until(at: Instant) {
    if at > Instant::now() {
        sleep_until(at).await;
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_moment_that_has_come_is_not_waited_for() {
        let (now, mut context) = (Instant::now(), Context::from_waker(Waker::noop()));
        assert_eq!(pin!(until(now)).poll(&mut context), Poll::Ready(()));
        assert_eq!(pin!(until(now + Duration::from_secs(3600))).poll(&mut context), Poll::Pending);
    }
}
