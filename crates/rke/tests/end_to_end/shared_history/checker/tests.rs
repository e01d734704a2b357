//! Histories made by hand: each broken promise is reported, and what only looks like one is not.

use super::*;

const PROMISES: Promises = Promises { max_sessions: 2, hold: Duration::from_millis(500) };

const ONE: Place = Place::Daemon(0);
const TWO: Place = Place::Daemon(1);
const SERVER: Place = Place::Server(0);

/// Histories in seconds.
fn event(place: Place, what: What, (begin, end): (u64, u64), outcome: Outcome) -> Event {
    Event { place, what, begin: Duration::from_secs(begin), end: Duration::from_secs(end), outcome }
}

fn unavailable() -> Outcome {
    Outcome::Unavailable("try again".to_owned())
}

fn create(id: &str, span: (u64, u64)) -> Event {
    event(ONE, What::Create(Some(id.into())), span, Outcome::Done)
}

fn uses(place: Place, id: &str, span: (u64, u64), outcome: Outcome) -> Event {
    event(place, What::Use(id.into()), span, outcome)
}

fn delete(id: &str, span: (u64, u64), outcome: Outcome) -> Event {
    event(ONE, What::Delete(id.into(), IsForgotten::NotProven), span, outcome)
}

fn forget(id: &str, span: (u64, u64)) -> Event {
    event(ONE, What::Delete(id.into(), IsForgotten::Yes), span, Outcome::Done)
}

fn delete_all(span: (u64, u64)) -> Event {
    event(TWO, What::DeleteAll, span, Outcome::Done)
}

fn disturbance(trouble: Trouble, (begin, end): (u64, u64)) -> Disturbance {
    Disturbance { trouble, begin: Duration::from_secs(begin), end: Duration::from_secs(end) }
}

/// Exactly this is reported, and nothing if it is empty.
fn reports(events: &[Event], disturbances: &[Disturbance], words: &str) {
    let record = Record { events: events.to_vec(), disturbances: disturbances.to_vec() };
    let found = record.violations(PROMISES);
    match words {
        "" => assert!(found.is_empty(), "{found:?}"),
        _ => assert!(found.len() == 1 && found[0].contains(words), "not just {words:?}: {found:?}"),
    }
}

#[test]
fn a_use_that_began_after_the_deletion_was_answered() {
    let (made, deleted) = (create("a", (0, 1)), delete("a", (2, 4), Outcome::Done));
    let used = |span| uses(TWO, "a", span, Outcome::Done);
    reports(&[made.clone(), deleted.clone(), used((3, 6))], &[], "");
    reports(&[made.clone(), deleted.clone(), used((4, 6))], &[], "");
    reports(&[made, deleted, used((5, 6))], &[], "used after its deletion");
}

#[test]
fn a_use_at_a_content_server_after_it_has_proven_that_the_key_is_wiped() {
    let used = uses(SERVER, "a", (5, 6), Outcome::Done);
    reports(&[create("a", (0, 1)), delete("a", (2, 4), Outcome::Done), used.clone()], &[], "");
    reports(&[create("a", (0, 1)), forget("a", (2, 4)), used], &[], "used after its deletion");
}

#[test]
fn a_use_of_what_was_made_before_all_were_deleted() {
    let used = uses(ONE, "a", (5, 6), Outcome::Done);
    reports(&[create("a", (0, 1)), delete_all((2, 4)), used.clone()], &[], "lived after all were deleted");
    // Perhaps it was made after that.
    reports(&[create("a", (0, 3)), delete_all((2, 4)), used], &[], "");
}

#[test]
fn a_second_death() {
    let deaths = [delete("a", (2, 3), Outcome::Done), delete("a", (2, 4), Outcome::Done)];
    let twice = [create("a", (0, 1)), deaths[0].clone(), deaths[1].clone()];
    reports(&twice, &[], "it died twice");
    // A repeated deletion that was not confirmed is one death.
    let unconfirmed = delete("a", (2, 3), unavailable());
    let away = [disturbance(Trouble::StoreAway, (2, 3))];
    reports(&[create("a", (0, 1)), unconfirmed, deaths[1].clone()], &away, "");
}

#[test]
fn more_sessions_than_the_limit() {
    let two = [create("a", (0, 1)), create("b", (0, 1))];
    let with = |more: &[Event]| [&two, more].concat();
    reports(&with(&[create("c", (0, 4))]), &[], "3 sessions at 4s");
    // The deletion may have been carried out in time.
    reports(&with(&[create("c", (0, 4)), delete("a", (3, 6), Outcome::Done)]), &[], "");
    reports(&with(&[create("c", (0, 4)), delete_all((3, 6))]), &[], "");
    reports(&with(&[create("c", (0, 4))]), &[disturbance(Trouble::NewPrimary, (2, 3))], "");
    let counted = |count| event(TWO, What::Count(count), (2, 3), Outcome::Done);
    reports(&with(&[counted(2)]), &[], "");
    reports(&with(&[counted(3)]), &[], "more than the limit");
}

#[test]
fn a_session_that_is_not_found_although_nobody_has_deleted_it() {
    let missed = uses(TWO, "a", (5, 6), Outcome::NotFound);
    reports(&[create("a", (0, 1)), missed.clone()], &[], "it was lost");
    reports(&[create("a", (0, 1)), delete("a", (2, 3), Outcome::NotFound)], &[], "it was lost");
    reports(&[create("a", (0, 1)), delete("a", (6, 7), Outcome::Done), missed.clone()], &[], "");
    reports(&[create("a", (0, 1)), delete_all((2, 3)), missed.clone()], &[], "");
    reports(&[create("a", (0, 1)), missed.clone()], &[disturbance(Trouble::NewPrimary, (2, 3))], "");
    // A deletion that was not confirmed may be carried out at any time.
    let unconfirmed = delete("a", (2, 3), unavailable());
    let away = [disturbance(Trouble::StoreAway, (2, 3))];
    reports(&[create("a", (0, 1)), unconfirmed, missed], &away, "");
}

#[test]
fn a_session_of_an_earlier_primary_that_is_used_after_its_hold() {
    let new = [disturbance(Trouble::NewPrimary, (2, 4))];
    let used = |span| [create("a", (0, 1)), uses(TWO, "a", span, Outcome::Done)];
    reports(&used((4, 6)), &new, "");
    reports(&used((5, 6)), &new, "came back under another primary");
    let newer = [create("a", (3, 5)), uses(TWO, "a", (5, 6), Outcome::Done)];
    reports(&newer, &new, "");
}

#[test]
fn a_request_that_fails_although_nothing_is_disturbed() {
    let failed = |span, outcome| [create("a", (0, 1)), uses(TWO, "a", span, outcome)];
    let away = [disturbance(Trouble::StoreAway, (4, 5))];
    reports(&failed((3, 3), unavailable()), &away, "it failed");
    reports(&failed((4, 4), unavailable()), &away, "");
    reports(&failed((15, 15), unavailable()), &away, "");
    reports(&failed((16, 16), unavailable()), &away, "it failed");
    reports(&failed((4, 5), Outcome::NoResponse), &away, "it failed");
    reports(&failed((4, 5), Outcome::Strange("500".into())), &away, "it failed");
    reports(&failed((4, 5), Outcome::NoResponse), &[disturbance(Trouble::Daemon(1), (4, 5))], "");
    // Others than the one that is disturbed respond.
    reports(&failed((4, 4), unavailable()), &[disturbance(Trouble::Daemon(0), (4, 5))], "it failed");
}

#[test]
fn a_request_that_fails_because_the_machine_is_busy() {
    let failed = uses(TWO, "a", (3, 3), unavailable());
    let slow = uses(ONE, "a", (2, 4), Outcome::Done);
    reports(&[create("a", (0, 1)), slow.clone(), failed.clone()], &[], "");
    // It was stopped: that is no reason for others.
    reports(&[create("a", (0, 1)), slow, failed], &[disturbance(Trouble::Daemon(0), (2, 4))], "it failed");
}

#[test]
fn a_request_that_fails_because_its_session_is_being_deleted() {
    let failed = uses(TWO, "a", (4, 4), unavailable());
    reports(&[create("a", (0, 1)), delete("a", (3, 5), Outcome::Done), failed.clone()], &[], "");
    reports(&[create("a", (0, 1)), delete("a", (2, 3), Outcome::Done), failed], &[], "it failed");
}
