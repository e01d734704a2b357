use super::*;

fn domain(name: &str) -> Domain {
    Domain::new(name).expect("a domain")
}

#[tokio::test]
async fn one_turn_at_a_time_for_each_domain() {
    let queues = DomainQueues::<u8>::default();
    let (first, second, other) =
        (queues.queue(&domain("a.test")), queues.queue(&domain("a.test")), queues.queue(&domain("b.test")));
    let turn = first.wait().await;
    drop(other.wait().await);
    let waiting = second.wait();
    tokio::pin!(waiting);
    assert!(std::future::poll_fn(|cx| std::task::Poll::Ready(waiting.as_mut().poll(cx).is_pending())).await);
    drop(turn);
    assert!(waiting.await.failure_while_waiting().is_none());
}

#[tokio::test(start_paused = true)]
async fn those_who_waited_learn_of_the_failure_and_those_who_come_later_do_not() {
    let queues = DomainQueues::<u8>::default();
    let (first, second) = (queues.queue(&domain("a.test")), queues.queue(&domain("a.test")));
    first.wait().await.leave_failure(7);
    tokio::time::advance(std::time::Duration::from_nanos(1)).await;
    let third = queues.queue(&domain("a.test"));
    assert_eq!(second.wait().await.failure_while_waiting(), Some(7));
    assert_eq!(third.wait().await.failure_while_waiting(), None);
}

#[tokio::test]
async fn a_queue_goes_with_its_last_place() {
    let queues = DomainQueues::<u8>::default();
    let (first, second) = (queues.queue(&domain("a.test")), queues.queue(&domain("a.test")));
    drop(first);
    assert_eq!(queues.0.lock().expect("unpoisoned").len(), 1);
    drop(second);
    assert_eq!(queues.0.lock().expect("unpoisoned").len(), 0);
}
