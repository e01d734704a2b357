use super::*;

#[test]
fn equal_faults_are_one_line() {
    let [first, second, third] = [0, 7, 24].map(|index| RaidaIndex::new(index).expect("an index"));
    let faults = [(first, Fault::Silent), (second, Fault::Unreachable), (third, Fault::Silent)];
    assert_eq!(told(&faults), ["RAIDAs 0, 24: no answer", "RAIDA 7: unreachable"]);
    assert!(told(&[]).is_empty());
}

#[test]
fn what_is_preloaded_is_the_newest_key_set_that_stays_and_never_a_retired_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let cs_id = rke_proto::ContentServerId::new("SHOP").expect("an ID");
    let mut ring = KeyRing::open(cs_id, &dir.path().join("data")).expect("a key ring");
    let [k1, k2, k3] = [1, 2, 3].map(|number| KeySetId::new(number).expect("a number"));
    let wide = Form::Wide;
    assert_eq!(chosen(&ring, None, wide, 0).expect("the first"), k1);
    ring.open_or_make(k1, wide).expect("k1");
    assert_eq!(chosen(&ring, None, wide, 0).expect("the only one"), k1);
    let note = |ring: &KeyRing, key_set| {
        ring.note_preloaded(key_set, RaidaIndex::all().collect(), 7).expect("noted");
    };
    note(&ring, k1);
    ring.open_or_make(k2, wide).expect("k2");
    assert_eq!(chosen(&ring, None, wide, 0).expect("not what a failed rotation left"), k1);
    note(&ring, k2);
    ring.retire_below(k2, 1000).expect("retiring");
    for wanted in [None, Some(k2)] {
        assert_eq!(chosen(&ring, wanted, wide, 0).expect("the newest"), k2);
    }
    assert_eq!(chosen(&ring, Some(k1), wide, 999).expect("not yet retired"), k1);
    let refused = chosen(&ring, Some(k1), wide, 1000).expect_err("retired").to_string();
    assert!(refused.contains("k1 has retired") && refused.contains("--key-set"), "{refused}");
    assert_eq!(chosen(&ring, Some(k3), wide, 1000).expect("a new one"), k3);
    ring.retire_below(k3, 1000).expect("retiring");
    let none_left = chosen(&ring, None, wide, 0).expect_err("none stays").to_string();
    assert!(none_left.contains("rotate"), "{none_left}");
    // That k1 exists in another form is found later.
    assert_eq!(chosen(&ring, None, Form::Live, 0).expect("the first of its form"), k1);
}
