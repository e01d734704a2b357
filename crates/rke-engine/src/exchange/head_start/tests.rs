use futures_util::future::maybe_done;

use super::*;

#[tokio::test]
async fn the_other_gets_as_far_as_time_allows_and_is_not_waited_for() {
    let turn = tokio::task::yield_now();
    let mut other = pin!(maybe_done(async { 7 }));
    alongside(turn, Some(other.as_mut())).await;
    assert_eq!(other.as_mut().take_output(), Some(7));

    let mut slow = pin!(maybe_done(std::future::pending::<()>()));
    assert_eq!(alongside(async { 8 }, Some(slow.as_mut())).await, 8);
    assert_eq!(alongside(async { 9 }, None::<Pin<&mut std::future::Pending<()>>>).await, 9);
    assert!(slow.as_mut().take_output().is_none());
}
