use std::time::Duration;

use rke_secret::memory_scan::MemoryScan;

use super::*;
use crate::model::session_id::SessionId;

const SEARCH: Search = Search {
    scan: MemoryScan {
        scanned_bytes: 4096,
        hits: 0,
        threads: 2,
        threads_missed: 0,
        took: Duration::from_micros(12),
    },
    machines: None,
};

fn subject(byte: u8, page: Option<&Page>) -> Subject {
    let domain = Domain::new("content.rke.test").expect("a domain");
    Subject { session: SessionId([byte; 16]), domain, page: page.cloned() }
}

fn kinds(activity: &Activity, viewer: &Viewer) -> Vec<Kind> {
    activity.seen_by(viewer).iter().map(|event| event.kind).collect()
}

fn receipt(activity: &Activity) -> Receipt {
    let ended = activity.seen_by(&Viewer::Program).into_iter().find_map(|event| event.receipt);
    ended.expect("a receipt")
}

#[test]
fn the_last_thousand_are_kept_newest_first() {
    let activity = Activity::default();
    activity.daemon_started();
    for byte in 0..=255 {
        (0..4).for_each(|_| activity.session_renewed(subject(byte, None)));
    }
    let events = activity.seen_by(&Viewer::Program);
    assert_eq!((events.len(), events[0].session), (KEPT, Some(ShortId::of(&[255; 16]))));
    assert!(events.windows(2).all(|pair| pair[0].number == pair[1].number + 1));
    assert_eq!(events[0].session.map(|id| id.to_string()).as_deref(), Some("ffffffff"));
}

#[test]
fn a_receipt_says_how_it_ended_what_the_search_found_and_what_the_other_end_has_shown() {
    let activity = Activity::default();
    let ended = activity.session_ended(subject(1, None), How::Request, Some([7; 16]));
    assert_eq!((receipt(&activity).how, receipt(&activity).other_end), (How::Request, OtherEnd::Pending));
    activity.memory_searched(ended, SEARCH);
    activity.remote_deletion_confirmed([8; 16]);
    assert_eq!(receipt(&activity).other_end, OtherEnd::Pending, "it is another key");
    activity.remote_deletion_confirmed([7; 16]);
    let kept = receipt(&activity);
    assert!(matches!(kept.other_end, OtherEnd::Forgotten(at) if at > 1_700_000_000));
    assert_eq!((kept.wipe.as_deref(), kept.key()), (Some(&SEARCH), Some(ShortId::of(&[7; 16]))));
    let confirmed = &activity.seen_by(&Viewer::Program)[0];
    assert_eq!(
        (confirmed.kind, confirmed.session),
        (Kind::RemoteDeletionConfirmed, Some(ShortId::of(&[1; 16])))
    );
    activity.session_ended(subject(2, None), How::Expiry, None);
    assert_eq!(receipt(&activity).other_end, OtherEnd::Unsupported);
}

#[test]
fn a_search_is_not_added_to_what_has_taken_the_place() {
    let activity = Activity::default();
    let ended = activity.session_ended(subject(1, None), How::Request, None);
    for _ in 0..KEPT {
        activity.session_ended(subject(2, None), How::Request, None);
    }
    activity.memory_searched(ended, SEARCH);
    assert!(
        activity
            .seen_by(&Viewer::Program)
            .iter()
            .all(|event| { event.receipt.as_ref().is_some_and(|receipt| receipt.wipe.is_none()) })
    );
}

#[test]
fn a_page_sees_the_events_of_its_own_sessions() {
    let activity = Activity::default();
    let (one, other) = (Page::new("http://localhost:3000"), Page::new("http://localhost:3001"));
    let (viewer, stranger) = (Viewer::Page(one.clone()), Viewer::Page(other));
    activity.daemon_started();
    activity.session_created(subject(1, None), true);
    assert_eq!(activity.changes(&viewer), 0);
    activity.session_created(subject(2, Some(&one)), false);
    activity.session_ended(subject(2, Some(&one)), How::RequestForAll, Some([9; 16]));
    let before = activity.changes(&viewer);
    activity.remote_deletion_confirmed([9; 16]);
    assert!(activity.changes(&viewer) > before);
    activity.keys_forgotten(None, 3);
    activity.request_refused("host");
    let own = [Kind::RemoteDeletionConfirmed, Kind::SessionDeleted, Kind::SessionCreated];
    assert_eq!(kinds(&activity, &viewer), own);
    assert_eq!((kinds(&activity, &stranger), kinds(&activity, &Viewer::NullOrigin)), (vec![], vec![]));
    assert_eq!((activity.changes(&stranger), activity.changes(&Viewer::NullOrigin)), (0, 0));
    assert_eq!(kinds(&activity, &Viewer::Program).len(), 7);
}

#[test]
fn refused_requests_are_one_event_for_each_rule_and_push_nothing_out() {
    let activity = Activity::default();
    activity.daemon_started();
    (0..3 * KEPT).for_each(|_| activity.request_refused("origin"));
    activity.request_refused("host");
    let events = activity.seen_by(&Viewer::Program);
    assert_eq!(kinds(&activity, &Viewer::Program)[2], Kind::DaemonStarted);
    let counts: Vec<_> = events.iter().map(|event| (event.detail, event.count)).collect();
    assert!(counts.contains(&(Some("origin"), 3000)) && counts.contains(&(Some("host"), 1)), "{counts:?}");
    activity.session_created(subject(1, None), true);
    assert_eq!(kinds(&activity, &Viewer::Program)[0], Kind::SessionCreated);
}

#[test]
fn who_goes_on_using_a_key_that_is_used_up_is_noted_once() {
    let activity = Activity::default();
    (0..3).for_each(|_| activity.session_used_up(subject(1, None)));
    activity.session_used_up(subject(2, None));
    assert_eq!(kinds(&activity, &Viewer::Program), [Kind::SessionUsedUp; 2]);
}

#[test]
fn a_used_up_key_is_noted_again_when_its_event_has_made_room() {
    let activity = Activity::default();
    let noted = |byte: u8| {
        let events = activity.seen_by(&Viewer::Program);
        let of_session = Some(ShortId::of(&[byte; 16]));
        events.iter().filter(|it| it.kind == Kind::SessionUsedUp && it.session == of_session).count()
    };
    activity.session_used_up(subject(1, None));
    (1..KEPT).for_each(|_| activity.session_renewed(subject(9, None)));
    activity.session_used_up(subject(1, None));
    assert_eq!((noted(1), activity.changes(&Viewer::Program)), (1, KEPT as u64));
    activity.session_renewed(subject(9, None));
    assert_eq!(noted(1), 0);
    activity.session_used_up(subject(1, None));
    assert_eq!(noted(1), 1);
}

#[test]
fn no_more_used_up_keys_are_remembered_than_events_are_kept() {
    let activity = Activity::default();
    for number in 0..3 * KEPT as u32 {
        let [a, b, c, d] = number.to_be_bytes();
        let session = SessionId([a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        activity.session_used_up(Subject { session, ..subject(0, None) });
    }
    assert_eq!(lock(&activity.used_up).len(), KEPT);
}

#[test]
fn events_from_many_threads_are_all_counted() {
    let activity = Activity::default();
    std::thread::scope(|scope| {
        for byte in 0..4 {
            let activity = &activity;
            scope.spawn(move || (0..500).for_each(|_| activity.session_renewed(subject(byte, None))));
        }
    });
    let mut numbers: Vec<u64> = activity.seen_by(&Viewer::Program).iter().map(|event| event.number).collect();
    numbers.reverse();
    assert_eq!((numbers, activity.changes(&Viewer::Program)), ((1000..2000).collect(), 2000));
}
