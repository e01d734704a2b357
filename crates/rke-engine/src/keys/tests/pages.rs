//! Which page a key belongs to, and who may remove it.

use super::*;
use crate::model::viewer::Page;

fn pages() -> [Viewer; 2] {
    ["http://localhost:3000", "http://localhost:3001"].map(|origin| Viewer::Page(Page::new(origin)))
}

#[test]
fn a_page_sees_and_removes_the_keys_that_were_made_for_it_also_after_a_restart() {
    let dir = tempfile::tempdir().expect("a folder");
    let (keystore, [one, other]) = (open(&dir, 24, 64), pages());
    for (of, viewer) in [("a.test", &Viewer::Program), ("b.test", &one), ("c.test", &other)] {
        keystore.put(&key(of, 1), viewer).expect("cached");
    }
    drop(keystore);
    let keystore = open(&dir, 24, 64);
    let seen =
        |viewer: &Viewer| keystore.rows(viewer).iter().map(|row| row.domain.to_string()).collect::<Vec<_>>();
    assert_eq!(seen(&Viewer::Program), ["a.test", "b.test", "c.test"]);
    assert_eq!((seen(&one), seen(&other)), (vec!["b.test".to_owned()], vec!["c.test".to_owned()]));
    assert_eq!(seen(&Viewer::NullOrigin), [""; 0]);
    let states = || [&Viewer::Program, &one, &other].map(|viewer| keystore.state(viewer));
    let before = states();
    assert_eq!(keystore.forget(Some(&domain("a.test")), &one).count, 0);
    assert_eq!(keystore.forget(None, &Viewer::NullOrigin).count, 0);
    assert_eq!(states(), before);
    assert_eq!(keystore.forget(None, &one).count, 1);
    assert_eq!(seen(&Viewer::Program), ["a.test", "c.test"]);
    let after = states();
    assert!(after[0] != before[0] && after[1] != before[1] && after[2] == before[2]);
}

#[test]
fn a_viewer_takes_away_no_key_that_it_does_not_see() {
    let (dir, [one, other]) = (tempfile::tempdir().expect("a folder"), pages());
    let (null, program) = (Viewer::NullOrigin, Viewer::Program);
    let (keystore, keys) = (open(&dir, 24, 64), [0, 1, 2, 3, 4].map(|byte| key("a.test", byte)));
    let puts = [(&one, 0, 1), (&other, 0, 1), (&null, 0, 1), (&one, 3, 1), (&program, 4, 0)];
    for (made, (viewer, kept, seen)) in keys.iter().zip(puts) {
        keystore.put(made, viewer).expect("no error");
        assert!(is_same(&get(&keystore, "a.test").expect("a key"), &keys[kept]), "{viewer:?}");
        assert_eq!([&one, &other].map(|viewer| keystore.rows(viewer).len()), [seen, 0]);
    }
}
