use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_moment_that_has_come_is_not_waited_for() {
    let (now, mut context) = (Instant::now(), Context::from_waker(Waker::noop()));
    assert_eq!(pin!(wait_until(now)).poll(&mut context), Poll::Ready(()));
    assert_eq!(pin!(wait_until(now + Duration::from_secs(3600))).poll(&mut context), Poll::Pending);
}
