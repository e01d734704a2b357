//! Whose turn it is. Times are simulated: nothing waits.

use super::super::queue::{Queue, Tried};
use super::*;

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
const PAUSES: Pauses = Pauses { first: FIRST, longest: LONGEST };

fn server(port: u16) -> ServerName {
    ServerName { host: "cs.test".into(), port }
}

fn queue(of: impl IntoIterator<Item = (u8, u16)>) -> Queue {
    let mut queue = Queue::new(PAUSES);
    of.into_iter().for_each(|(of, port)| assert!(queue.add(deletion(of, &server(port)))));
    queue
}

fn next(queue: &mut Queue, now: Instant) -> Option<u8> {
    queue.next(now).map(|deletion| deletion.id[0])
}

fn all(queue: &mut Queue, now: Instant) -> Vec<u8> {
    std::iter::from_fn(|| next(queue, now)).collect()
}

fn wakes_in(queue: &Queue, now: Instant) -> Option<Duration> {
    // Lifetimes do not matter here.
    queue.wakes_at((now, u64::from(u32::MAX))).map(|at| at - now)
}

#[test]
fn pauses_grow_to_five_minutes_and_differ() {
    let mut whole = FIRST;
    for failures in 1..100 {
        let pauses: Vec<Duration> = (0..20).map(|_| PAUSES.after(failures)).collect();
        assert!(pauses.iter().all(|pause| (whole / 2..=whole).contains(pause)), "{failures}: {pauses:?}");
        assert!(pauses.iter().any(|pause| *pause != pauses[0]), "{failures}: {pauses:?}");
        whole = (whole * 2).min(LONGEST);
    }
    assert_eq!(Timing::default().pauses.longest, LONGEST);
}

#[test]
fn they_are_tried_in_turn_and_no_server_more_than_its_part() {
    let now = Instant::now();
    let mut queue = queue([(1, 1), (2, 1), (3, 1), (4, 2)]);
    assert_eq!(all(&mut queue, now), [1, 4, 2]);
    queue.ended(&[2; 16], Tried::Proven, now);
    assert_eq!(all(&mut queue, now), [3]);
    assert!(queue.len() == 3 && queue.is_asking());
}

#[test]
fn one_that_is_refused_waits_and_holds_up_no_other() {
    let now = Instant::now();
    let mut queue = queue([(1, 1), (2, 1), (3, 1)]);
    assert_eq!(all(&mut queue, now), [1, 2]);
    assert_eq!(queue.ended(&[1; 16], Tried::Unproven, now), 1);
    assert_eq!(all(&mut queue, now), [3]);
    queue.ended(&[2; 16], Tried::Proven, now);
    queue.ended(&[3; 16], Tried::Proven, now);
    let wait = wakes_in(&queue, now).expect("a moment");
    assert!((FIRST / 2..=FIRST).contains(&wait) && !queue.is_asking(), "{wait:?}");
    assert!(all(&mut queue, now + wait / 2).is_empty());
    assert_eq!(all(&mut queue, now + wait), [1]);
    assert_eq!(queue.ended(&[1; 16], Tried::Unproven, now + wait), 2);
    assert!(wakes_in(&queue, now + wait).expect("a moment") >= FIRST);
}

#[test]
fn where_a_server_is_unreachable_one_finds_out_for_all() {
    let now = Instant::now();
    let mut queue = queue([(1, 1), (2, 1), (3, 1), (4, 1)]);
    assert_eq!(all(&mut queue, now), [1, 2]);
    assert_eq!(queue.ended(&[1; 16], Tried::Unreachable, now), 1);
    assert_eq!(queue.ended(&[2; 16], Tried::Unreachable, now), 1, "they failed together");
    assert!(all(&mut queue, now).is_empty() && !queue.is_asking());
    let then = now + FIRST;
    let one = all(&mut queue, then);
    assert_eq!(one.len(), 1);
    assert_eq!(queue.ended(&[one[0]; 16], Tried::Unreachable, then), 2);
    let later = then + 2 * FIRST;
    let another = all(&mut queue, later);
    assert!(another.len() == 1 && another != one, "the others have their turn first: {one:?} {another:?}");
    queue.ended(&[another[0]; 16], Tried::Unproven, later);
    assert_eq!(all(&mut queue, later).len(), 2, "it is reached: all others go on");
}

#[test]
fn a_new_one_is_tried_at_once_also_while_its_server_pauses() {
    let now = Instant::now();
    let mut queue = queue([(1, 1)]);
    assert_eq!(all(&mut queue, now), [1]);
    queue.ended(&[1; 16], Tried::Unreachable, now);
    queue.add(deletion(2, &server(1)));
    assert_eq!(all(&mut queue, now), [2]);
    queue.ended(&[2; 16], Tried::Proven, now);
    assert_eq!(all(&mut queue, now), [1], "its success is news for the others");
}

#[test]
fn those_whose_lifetime_is_over_go_unless_they_are_tried_just_now() {
    let now = Instant::now();
    let mut queue = queue([(1, 1), (2, 1), (3, 1)]);
    let end = u64::from(deletion(1, &server(1)).lives_until) + 5;
    assert!(queue.take_over(end - 60).is_empty());
    assert_eq!(all(&mut queue, now), [1, 2]);
    let over: Vec<u8> = queue.take_over(end).iter().map(|deletion| deletion.id[0]).collect();
    assert_eq!((over, queue.len()), (vec![3], 2));
    queue.ended(&[1; 16], Tried::Unproven, now);
    queue.ended(&[2; 16], Tried::Proven, now);
    assert_eq!((queue.take_over(end).len(), queue.len()), (1, 0));
}

#[test]
fn the_end_of_a_lifetime_wakes_too() {
    let (now, queue) = (Instant::now(), queue([(1, 1)]));
    let end = u64::from(queue.iter().next().expect("one").lives_until);
    assert_eq!(queue.wakes_at((now, end - 5)), Some(now + Duration::from_secs(5)));
    assert_eq!(queue.wakes_at((now, end)), None);
}
