//! Which entries the cache holds, for how long, and which of them is used for whom.

use super::*;
use crate::model::viewer::Page;

/// Makes the Content Server keep it for this many hours from now.
fn for_hours(mut kept: Kept, hours: u64) -> Kept {
    let KeptSecret::Resumption { lives_until, .. } = &mut kept.secret else { unreachable!("a narrow key") };
    *lives_until = unix_seconds() + hours * 3600;
    kept
}

fn domains(keystore: &Keystore) -> Vec<String> {
    keystore.rows(&Viewer::Program).iter().map(|row| row.domain.to_string()).collect()
}

#[test]
fn an_entry_serves_a_wallet_that_holds_all_its_coins() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    let entries: [(&str, &[u32]); 5] =
        [("a.test", &[1, 2]), ("a.test", &[3]), ("a.test", &[2, 3]), ("b.test", &[]), ("c.test", &[9])];
    let entries: Vec<Kept> =
        (0..).zip(entries).map(|(byte, (of, coins))| with_coins(key(of, byte), coins)).collect();
    for entry in &entries {
        keystore.put(entry, &Viewer::Program).expect("cached");
    }
    for (of, held, expected) in [
        ("a.test", vec![1, 2], Some(0)),
        ("a.test", vec![2, 7, 1], Some(0)),
        ("a.test", vec![3], Some(1)),
        ("a.test", vec![2, 3], Some(2)),
        ("a.test", vec![1, 2, 3], Some(0)),
        ("a.test", vec![1], None),
        ("a.test", vec![2], None),
        ("a.test", vec![], None),
        ("b.test", vec![], Some(3)),
        ("b.test", vec![1], Some(3)),
        ("c.test", vec![9], Some(4)),
        ("c.test", vec![1, 2, 3], None),
        ("d.test", vec![1, 2, 3, 9], None),
        ("sub.a.test", vec![1, 2, 3, 9], None),
    ] {
        let holds = |coins: &[CoinId]| coins.iter().all(|coin| held.contains(&coin.serial));
        let served = keystore.get(&domain(of), holds);
        let which = served.map(|served| entries.iter().position(|entry| is_same(entry, &served)));
        assert_eq!(which, expected.map(Some), "{of} {held:?}");
    }
}

#[test]
fn an_entry_that_is_of_no_use_is_passed_over_for_the_next() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    let [expired, damaged, good] = [1, 2, 3].map(|byte| with_coins(key("a.test", byte), &[byte.into()]));
    let expired = for_hours(expired, 0);
    for entry in [&expired, &damaged, &good] {
        keystore.put(entry, &Viewer::Program).expect("cached");
    }
    fs::write(keystore.path_of(&whose(&damaged)), b"damaged").expect("written");
    assert!(is_same(&get(&keystore, "a.test").expect("the last"), &good));
    assert_eq!(keystore.count(), Count { total: 1, valid: 1 });
}

#[test]
fn an_entry_lasts_as_long_as_the_settings_and_the_content_server_let_it() {
    for (ttl_hours, server_hours, expected) in
        [(24, 1, 1), (1, 24, 1), (24, 24, 24), (0, 24, 0), (24, 0, 0), (u64::MAX, 24, 24)]
    {
        let dir = tempfile::tempdir().expect("a folder");
        let (keystore, began) = (open(&dir, ttl_hours, 64), unix_seconds());
        let kept = for_hours(key("a.test", 1), server_hours);
        keystore.put(&kept, &Viewer::Program).expect("cached");
        let ends = keystore.lock()[&whose(&kept)].expires_at;
        let possible = began + expected * 3600..=unix_seconds() + expected * 3600;
        assert!(possible.contains(&ends), "{ttl_hours} {server_hours}: {ends}");
        // An expired entry stays until it is swept, but is not used.
        let valid = usize::from(expected > 0);
        assert_eq!(keystore.count(), Count { total: 1, valid });
        assert_eq!(domains(&keystore).len(), valid);
        keystore.sweep();
        assert_eq!((keystore.count().total, files(&dir).len()), (valid, valid));
        assert_eq!(get(&keystore, "a.test").is_some(), valid == 1);
    }
}

#[test]
fn where_there_are_too_many_those_go_that_expire_first() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 3);
    let put = |of, hours| keystore.put(&for_hours(key(of, 1), hours), &Viewer::Program).expect("cached");
    for (of, hours, left) in [
        ("a.test", 3, vec!["a.test"]),
        ("b.test", 1, vec!["a.test", "b.test"]),
        ("c.test", 5, vec!["a.test", "b.test", "c.test"]),
        ("c.test", 6, vec!["a.test", "b.test", "c.test"]),
        ("d.test", 4, vec!["a.test", "c.test", "d.test"]),
        // Also if the new entry expires before the others.
        ("e.test", 2, vec!["c.test", "d.test", "e.test"]),
        ("f.test", 7, vec!["c.test", "d.test", "f.test"]),
    ] {
        put(of, hours);
        assert_eq!(domains(&keystore), left, "{of}");
        assert_eq!(files(&dir).len(), left.len(), "{of}");
    }
    keystore.set_limits(Limits { ttl_hours: 24, max: 2 });
    assert_eq!(domains(&keystore), ["c.test", "f.test"]);
    drop(keystore);
    let keystore = open(&dir, 24, 1);
    assert_eq!((domains(&keystore), files(&dir).len()), (vec!["f.test".to_owned()], 1));
    keystore.set_limits(Limits { ttl_hours: 24, max: 0 });
    assert_eq!(files(&dir).len(), 0);
}

#[test]
fn an_entry_is_shown_to_whom_it_was_made_for_until_it_expires() {
    let [one, other] = ["http://localhost:3000", "http://localhost:3001"].map(Page::new);
    let kept = key("a.test", 1);
    let (to_one, null, program) = (Viewer::Page(one.clone()), Viewer::NullOrigin, Viewer::Program);
    for (page, viewer, now, is_shown) in [
        (None, &program, 99, true),
        (None, &program, 100, false),
        (None, &to_one, 99, false),
        (None, &null, 99, false),
        (Some(&one), &program, 99, true),
        (Some(&one), &to_one, 99, true),
        (Some(&one), &to_one, 100, false),
        (Some(&one), &null, 99, false),
        (Some(&other), &to_one, 99, false),
    ] {
        let indexed = Indexed::new(&kept, page.cloned(), 100, WriteId { run: [0; 16], number: 0 });
        assert_eq!(indexed.is_shown(viewer, now), is_shown, "{page:?} {viewer:?} {now}");
    }
}

#[test]
fn what_has_expired_is_replaced_whoever_it_was_made_for() {
    let dir = tempfile::tempdir().expect("a folder");
    let keystore = open(&dir, 24, 64);
    let page = Viewer::Page(Page::new("http://localhost:3000"));
    keystore.put(&for_hours(key("a.test", 1), 0), &page).expect("cached");
    let (by_another, null) = (key("a.test", 2), Viewer::NullOrigin);
    keystore.put(&by_another, &null).expect("cached");
    assert!(is_same(&get(&keystore, "a.test").expect("a key"), &by_another));
    assert_eq!([&Viewer::Program, &page, &null].map(|viewer| keystore.rows(viewer).len()), [1, 0, 0]);
}
