//! The store's rules, one test each.

use rke_proto::Form;
use rke_proto::handshake::{KeyId, SessionSecrets, keys};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::samples::{secret, session};
use super::*;
use crate::Domain;
use crate::model::key_origin::KeyOrigin;
use crate::model::key_origin::samples::origin;
use crate::model::usage::{Usage, UsageLimits, UsedUp};
use crate::model::viewer::Page;

/// A store that wipes expired sessions.
pub(super) fn store(rules: SessionLimits) -> Store {
    Store::new(rules, Box::new(|_, session, _| drop(session)))
}

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// A store that wipes expired sessions and reports them.
fn telling_store(rules: SessionLimits) -> (Store, UnboundedReceiver<SessionId>) {
    let (tell, told) = unbounded_channel();
    let on_expiry = move |id, session, _| {
        drop::<NewSession>(session);
        // The receiver is gone once the test is over.
        let _ = tell.send(id);
    };
    (Store::new(rules, Box::new(on_expiry)), told)
}

/// The next expired session.
async fn next(ended: &mut UnboundedReceiver<SessionId>) -> SessionId {
    timeout(LONG, ended.recv()).await.expect("in time").expect("a session")
}

/// A session made by handshake 3.
fn wide_session(byte: u8) -> NewSession {
    let secrets = SessionSecrets { key: secret(byte), resumption: secret(0), key_id: KeyId([byte; 16]) };
    let (key, _) = SessionKey::of_handshake(secrets, 1000).expect("secret memory");
    NewSession { origin: Arc::new(origin(Form::Wide)), key, ..session(byte) }
}

pub(super) fn rules(max: usize, ttl: Duration) -> SessionLimits {
    let usage = UsageLimits { messages: 5, bytes: 1000 };
    SessionLimits { max, ttl, max_lifetime: ttl * 10, idle: None, usage }
}

pub(super) fn id(byte: u8) -> SessionId {
    SessionId([byte; 16])
}

#[test]
fn ids_are_hex_of_either_case_and_exactly_32_digits() {
    let text = "a1b2c3d4e5f67890a1b2c3d4e5f67890";
    assert_eq!(SessionId::parse(text).map(|id| id.to_string()).as_deref(), Some(text));
    assert!(SessionId::parse(&text.to_uppercase()) == SessionId::parse(text));
    for bad in ["", "nonexistent00000000000000000000", &text[1..], &text.replace('a', "g")] {
        assert!(SessionId::parse(bad).is_none(), "{bad}");
    }
}

#[tokio::test]
async fn each_session_has_its_own_key_and_counts() {
    let store = store(rules(16, Duration::from_secs(60)));
    store.insert(id(1), session(1)).expect("room");
    store.insert(id(2), session(2)).expect("room");
    assert_eq!(store.with_key(id(2), KeyUse::Encrypt(9), |key| *key == [2; 32]), Ok(true));
    assert_eq!(store.with_key(id(1), KeyUse::Decrypt, |key| *key == [1; 32]), Ok(true));
    let row = store.row(id(2)).expect("a row");
    assert_eq!((row.encrypt_count, row.decrypt_count), (1, 0));
    assert_eq!(store.count(), Count { total: 2, active: 2, held: None });
}

#[tokio::test]
async fn a_session_of_handshake_3_has_a_key_for_each_use() {
    let store = store(rules(16, Duration::from_secs(60)));
    store.insert(id(1), wide_session(1)).expect("room");
    store.insert(id(2), session(2)).expect("room");
    let derived = |derive: fn(&[u8; 32], &mut [u8; 32])| {
        let mut key = [0; 32];
        derive(&[1; 32], &mut key);
        key
    };
    let (ctr, seal) = (derived(keys::ctr_key), derived(keys::seal_key));
    assert_eq!(store.with_key(id(1), KeyUse::Encrypt(1), |key| *key == ctr), Ok(true));
    assert_eq!(store.with_seal_key(id(1), KeyUse::Encrypt(1), |key| *key == seal), Ok(true));
    assert_eq!(store.with_root(id(1), KeyUse::Tunnel, |key| *key == [1; 32]), Ok(Some(true)));
    assert_eq!(store.row(id(1)).and_then(|row| row.key_id), Some(KeyId([1; 16])));
    // A narrow key supports everything except a root key, and has no name.
    assert_eq!(store.with_seal_key(id(2), KeyUse::Encrypt(1), |key| *key == [2; 32]), Ok(true));
    assert_eq!(store.with_root(id(2), KeyUse::Tunnel, |_| ()), Ok(None));
    assert_eq!(store.row(id(2)).map(|row| row.key_id), Some(None));
}

#[tokio::test]
async fn a_session_takes_what_wiping_it_at_the_other_end_needs_with_it() {
    let store = store(rules(16, Duration::from_secs(60)));
    store.insert(id(1), wide_session(1)).expect("room");
    store.insert(id(2), session(2)).expect("room");
    let deletion = store.remove(id(1), Moment::now()).and_then(|session| session.remote_deletion());
    let deletion = deletion.expect("a deletion");
    assert_eq!((deletion.id, deletion.lives_until, deletion.server.port), ([1; 16], 1000, 443));
    assert!(deletion.token.matches(&keys::forget_token(&[1; 32])));
    assert!(deletion.proof.matches(&keys::forget_proof(&[1; 32])));
    let narrow = store.remove(id(2), Moment::now()).expect("a session");
    assert!(narrow.remote_deletion().is_none());
}

#[tokio::test]
async fn a_removed_session_is_gone_and_removing_it_again_finds_nothing() {
    let store = store(rules(16, Duration::from_secs(60)));
    store.insert(id(1), session(1)).expect("room");
    assert!(store.remove(id(1), Moment::now()).is_some());
    assert!(store.remove(id(1), Moment::now()).is_none());
    assert_eq!(store.with_key(id(1), KeyUse::Encrypt(1), |_| ()), Err(KeyError::NotFound));
    assert!(store.row(id(1)).is_none());
    assert_eq!(store.rows(&Viewer::Program).1.len(), 0);
}

#[tokio::test]
async fn a_full_store_says_when_there_will_be_room_and_ends_nothing() {
    let ttl = Duration::from_secs(60);
    let (store, began) = (store(rules(2, ttl)), Moment::now());
    store.insert(id(1), session(1)).expect("room");
    store.insert(id(2), session(2)).expect("room");
    let full = store.insert(id(3), session(3)).expect_err("no room");
    assert!(full.retry_after <= ttl && full.retry_after + Moment::now().since(began) >= ttl);
    assert_eq!(full.to_string(), "Maximum of 2 sessions reached");
    assert_eq!(store.count().active, 2);
    drop(store.remove(id(1), Moment::now()).expect("a session"));
    store.insert(id(3), session(3)).expect("room again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expires_at_the_deadline_and_sweeps_without_being_asked() {
    let ttl = Duration::from_millis(40);
    let (store, mut ended) = telling_store(rules(16, ttl));
    let began = Moment::now();
    store.insert(id(1), session(1)).expect("room");
    assert!(next(&mut ended).await == id(1) && Moment::now() >= began.after(ttl));
    assert!(store.row(id(1)).is_none() && store.remove(id(1), Moment::now()).is_none());
    assert_eq!(store.count(), Count { total: 0, active: 0, held: None });
}

#[tokio::test]
async fn other_rules_hold_at_once_and_swept_is_by_them() {
    let (store, mut ended) = telling_store(rules(2, LONG * 3));
    store.insert(id(1), session(1)).expect("room");
    store.insert(id(2), session(2)).expect("room");
    store.set_rules(rules(3, LONG * 3));
    store.insert(id(3), session(3)).expect("more room");
    // Let the sweeper fall asleep until the end of all three.
    tokio::task::yield_now().await;
    let idle = Some(Duration::from_millis(1));
    store.set_rules(SessionLimits { idle, ..rules(3, LONG * 3) });
    for _ in 0..3 {
        next(&mut ended).await;
    }
    assert_eq!(store.count(), Count { total: 0, active: 0, held: None });
}

#[tokio::test]
async fn a_key_that_is_used_up_is_told_with_whose_it_is_and_its_lock_free() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = Arc::clone(&told);
    let on_used_up = move |id, domain: Domain, page| {
        teller.lock().expect("unpoisoned").push((id == SessionId([1; 16]), domain.to_string(), page));
    };
    let rules = rules(16, Duration::from_secs(60));
    let store = Store::telling(rules, Box::new(|_, session, _| drop(session)), Box::new(on_used_up));
    let page = Page::new("http://localhost:3000");
    store.insert(id(1), NewSession { page: Some(page.clone()), ..session(1) }).expect("room");
    for key_use in [KeyUse::Encrypt(999), KeyUse::Decrypt, KeyUse::Encrypt(2)] {
        let _ = store.with_key(id(1), key_use, |_| ());
    }
    assert_eq!(*told.lock().expect("unpoisoned"), [(true, "content.rke.test".into(), Some(page))]);
}

#[tokio::test]
async fn a_key_is_used_up_for_all_sessions_that_hold_it() {
    let store = store(rules(16, Duration::from_secs(60)));
    let usage = Arc::<Usage>::default();
    for byte in [1, 2] {
        store
            .insert(
                id(byte),
                NewSession {
                    key: SessionKey::Narrow { key: secret(1), usage: Arc::clone(&usage) },
                    ..session(1)
                },
            )
            .expect("room");
    }
    for use_of in [KeyUse::Encrypt(400), KeyUse::Send(400), KeyUse::Encrypt(200)] {
        assert_eq!(store.with_key(id(1), use_of, |_| ()), Ok(()));
    }
    assert_eq!(store.with_key(id(2), KeyUse::Encrypt(1), |_| ()), Err(KeyError::UsedUp(UsedUp)));
    assert_eq!(store.with_key(id(2), KeyUse::Decrypt, |_| ()), Ok(()));
    assert_eq!(store.row(id(2)).map(|row| row.encrypt_count), Some(0));
}

#[tokio::test]
async fn all_sessions_of_a_domain_end_at_once() {
    let store = store(rules(16, Duration::from_secs(60)));
    let other = Domain::new("other.test").expect("a domain");
    let origin = KeyOrigin { domain: other.clone(), ..origin(Form::Live) };
    store.insert(id(1), session(1)).expect("room");
    store.insert(id(2), NewSession { origin: Arc::new(origin), ..session(2) }).expect("room");
    assert_eq!(store.remove_all(|session| session.origin.domain == other).len(), 1);
    assert_eq!(store.count().total, 1);
    assert_eq!(store.remove_all(|_| true).len(), 1);
    assert_eq!(store.rows(&Viewer::Program).0, Count { total: 0, active: 0, held: None });
}

#[tokio::test]
async fn a_page_sees_counts_and_ends_only_what_it_has_opened() {
    let store = store(rules(16, Duration::from_secs(60)));
    let [one, other] = ["http://localhost:3000", "http://localhost:3001"].map(Page::new);
    for (byte, page) in [(1, None), (2, Some(&one)), (3, Some(&other)), (4, Some(&one))] {
        store.insert(id(byte), NewSession { page: page.cloned(), ..session(byte) }).expect("room");
    }
    let seen = |viewer: &Viewer| {
        let (Count { total, active, .. }, rows) = store.rows(viewer);
        (total, active, rows.into_iter().map(|row| row.session_id).collect::<Vec<_>>())
    };
    let ids = |bytes: &[u8]| bytes.iter().map(|byte| id(*byte).to_string()).collect::<Vec<_>>();
    let one = Viewer::Page(one);
    assert_eq!(seen(&Viewer::Program), (4, 4, ids(&[1, 2, 3, 4])));
    assert_eq!(seen(&one), (2, 2, ids(&[2, 4])));
    assert_eq!(seen(&Viewer::NullOrigin), (0, 0, vec![]));
    assert_eq!(store.remove_all(|session| one.sees(session.page.as_ref())).len(), 2);
    assert_eq!((seen(&Viewer::Program), seen(&one)), ((2, 2, ids(&[1, 3])), (0, 0, vec![])));
}

#[tokio::test]
async fn a_page_is_told_of_changes_in_its_own_sessions_only() {
    let store = store(rules(16, Duration::from_secs(60)));
    let [one, other] = ["http://localhost:3000", "http://localhost:3001"].map(Page::new);
    let viewers = [Viewer::Program, Viewer::Page(one.clone()), Viewer::Page(other), Viewer::NullOrigin];
    let mut before = [0; 4];
    let mut changed = |what: &str, expected: [bool; 4]| {
        let now = viewers.each_ref().map(|viewer| store.changes(viewer));
        let changed = std::array::from_fn(|at| now[at] != before[at]);
        assert_eq!((what, changed), (what, expected));
        before = now;
    };
    changed("nothing", [false; 4]);
    store.insert(id(1), session(1)).expect("room");
    changed("the session of a program", [true, false, false, false]);
    let only_ones = [true, true, false, false];
    store.insert(id(2), NewSession { page: Some(one), ..session(2) }).expect("room");
    changed("opened", only_ones);
    store.with_key(id(2), KeyUse::Decrypt, |_| ()).expect("a session");
    changed("used", only_ones);
    assert!(store.renew(id(2)).is_some());
    changed("renewed", only_ones);
    assert!(store.remove(id(2), Moment::now()).is_some());
    changed("ended", only_ones);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_that_remove_the_same_session_one_succeeds() {
    let store = Arc::new(store(rules(16, Duration::from_secs(60))));
    for round in 0..200 {
        store.insert(id(round), session(round)).expect("room");
        let removals: Vec<_> = (0..2)
            .map(|_| {
                let store = Arc::clone(&store);
                tokio::spawn(async move { store.remove(id(round), Moment::now()) })
            })
            .collect();
        let mut done = 0;
        for removal in removals {
            done += usize::from(removal.await.expect("no panic").is_some());
        }
        assert_eq!(done, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_holds_however_many_open_sessions_at_once() {
    let store = Arc::new(store(rules(50, Duration::from_secs(60))));
    let opening: Vec<_> = (0..200)
        .map(|byte| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.insert(id(byte), session(byte)).is_ok() })
        })
        .collect();
    let mut opened = 0;
    for opening in opening {
        opened += usize::from(opening.await.expect("no panic"));
    }
    assert_eq!((opened, store.count().total), (50, 50));
}

#[tokio::test]
async fn many_that_end_together_are_all_swept_and_others_stay() {
    let (store, mut ended) = telling_store(rules(1000, Duration::from_millis(60)));
    for byte in 1..=200 {
        store.insert(id(byte), session(byte)).expect("room");
        // All in one shard, which is swept in batches.
        let mut same_part = [byte; 16];
        same_part[0] = 0;
        store.insert(SessionId(same_part), session(byte)).expect("room");
    }
    store.set_rules(rules(1000, Duration::from_secs(60)));
    store.insert(id(255), session(1)).expect("room");
    for _ in 0..400 {
        next(&mut ended).await;
    }
    assert_eq!(store.count(), Count { total: 1, active: 1, held: None });
    assert!(store.row(id(255)).is_some());
    // The insertions, the sweeps, and one change of the rules in each shard.
    assert_eq!(store.changes(&Viewer::Program), 401 + 400 + SHARDS as u64);
}

#[tokio::test]
async fn each_change_of_a_row_counts_and_a_refusal_does_not() {
    let store = store(rules(16, Duration::from_secs(60)));
    store.insert(id(1), session(1)).expect("room");
    assert_eq!(store.changes(&Viewer::Program), 1);
    store.with_key(id(1), KeyUse::Encrypt(1000), |_| ()).expect("a use");
    assert_eq!(store.changes(&Viewer::Program), 2);
    assert!(store.with_key(id(1), KeyUse::Encrypt(1), |_| ()).is_err() && store.renew(id(2)).is_none());
    assert_eq!(store.changes(&Viewer::Program), 2);
    assert!(store.renew(id(1)).is_some());
    assert_eq!(store.changes(&Viewer::Program), 3);
    assert!(store.remove(id(1), Moment::now()).is_some() && store.remove(id(1), Moment::now()).is_none());
    assert_eq!(store.changes(&Viewer::Program), 4);
}

#[tokio::test]
async fn what_has_expired_when_a_request_came_is_not_there_for_it() {
    let ttl = Duration::from_secs(60);
    let store = store(rules(16, ttl));
    store.insert(id(1), session(1)).expect("room");
    let later = Moment::now().after(ttl);
    let used = store.with_key_within(id(1), KeyUse::Decrypt, later, StackUse::UNKNOWN, |_| ());
    assert_eq!(used, Err(KeyError::NotFound));
    assert_eq!(store.with_key(id(1), KeyUse::Decrypt, |_| ()), Ok(()));
    assert!(store.remove(id(1), later).is_none());
    assert_eq!(store.count().total, 0);
}

#[tokio::test]
async fn a_request_that_came_earlier_leaves_a_later_use_as_it_is() {
    let idle = Duration::from_secs(10);
    let store = store(SessionLimits { idle: Some(idle), ..rules(16, Duration::from_secs(60)) });
    store.insert(id(1), session(1)).expect("room");
    let came = Moment::now();
    let later = came.after(Duration::from_secs(8));
    for now in [later, came, later.after(Duration::from_secs(8))] {
        let used = store.with_key_within(id(1), KeyUse::Decrypt, now, StackUse::UNKNOWN, |_| ());
        assert_eq!(used, Ok(()));
    }
}
