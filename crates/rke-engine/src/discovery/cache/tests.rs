use super::*;

fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

#[test]
fn records_live_as_long_as_they_say_but_not_for_long_and_failures_are_short() {
    let (cache, now) = (Cache::<u8, &str>::default(), Moment::now());
    for (said, lives) in [(Ok((1, 60)), 60), (Ok((2, 86_400)), 300), (Ok((3, 0)), 0), (Err("no"), 5)] {
        cache.put(&name("a.test."), RecordType::SRV, &said, now);
        let at =
            |seconds| cache.get(&name("A.test."), RecordType::SRV, now.after(Duration::from_secs(seconds)));
        assert_eq!(at(lives), None, "{said:?}");
        if lives > 0 {
            assert_eq!(at(lives - 1), Some(said.map(|(said, _)| said)));
        }
    }
    assert!(cache.get(&name("a.test."), RecordType::TXT, now).is_none());
}

#[test]
fn it_has_an_end() {
    let (cache, now) = (Cache::<u8, ()>::default(), Moment::now());
    for at in 0..MAX_ENTRIES + 10 {
        cache.put(&name(&format!("{at}.test.")), RecordType::A, &Ok((1, 60)), now);
    }
    assert!(cache.0.lock().expect("unpoisoned").len() <= MAX_ENTRIES);
    cache.clear();
    assert!(cache.get(&name("5.test."), RecordType::A, now).is_none());
}
