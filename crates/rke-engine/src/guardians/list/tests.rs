use super::*;

fn raida(index: u8) -> RaidaIndex {
    RaidaIndex::new(index).expect("an index")
}

/// RAIDAs and their ports.
fn agreed(places: &[(u8, u16)]) -> BTreeMap<RaidaIndex, Agreed> {
    let agreed = |(index, port): &(u8, u16)| {
        let endpoints = vec![SocketAddr::from(([8, 8, 8, 8], *port))];
        (raida(*index), Agreed { endpoints, guardians: 3 })
    };
    places.iter().map(agreed).collect()
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).expect("a time")
}

#[test]
fn what_is_no_longer_agreed_on_stays_and_each_entry_has_its_time() {
    let mut list = GoodList::default();
    assert_eq!(list.take_over(agreed(&[(1, 1), (2, 2)]), time(10)).len(), 2);
    assert!(list.take_over(agreed(&[(2, 2)]), time(20)).is_empty());
    assert!(list.take_over(agreed(&[]), time(30)).is_empty());
    let times: Vec<i64> = list.rows().iter().map(|(_, entry)| entry.agreed_at.as_second()).collect();
    assert_eq!(times, [10, 20]);
    let changes = list.take_over(agreed(&[(2, 9), (3, 3)]), time(40));
    assert_eq!(changes, ["RAIDA 2 was at 8.8.8.8:2, is at 8.8.8.8:9", "RAIDA 3 is new at 8.8.8.8:3"]);
}

#[test]
fn no_endpoint_is_two_raidas_when_one_takes_the_place_of_another() {
    let mut list = GoodList::default();
    list.take_over(agreed(&[(1, 1), (2, 2)]), time(10));
    let changes = list.take_over(agreed(&[(2, 1)]), time(20));
    assert_eq!(
        changes,
        ["RAIDA 1 was at 8.8.8.8:1, where another is now", "RAIDA 2 was at 8.8.8.8:2, is at 8.8.8.8:1"]
    );
    assert_eq!(list.endpoints(), [(SocketAddr::from(([8, 8, 8, 8], 1)), raida(2))]);
}

#[test]
fn a_list_is_read_as_it_was_written() {
    let mut list = GoodList::default();
    list.take_over(agreed(&[(1, 1), (24, 2)]), time(10));
    let text = to_text(&list, vec!["https://a".into()]).expect("a text");
    assert_eq!(of_text(text.as_bytes(), Reach::Public), Some((vec!["https://a".into()], list)));
    let private = text.replace("8.8.8.8:1", "10.0.0.1:1");
    let read = of_text(private.as_bytes(), Reach::Public).expect("a list").1;
    assert_eq!(read.rows().len(), 1, "flags may have changed since");
    for cut in 0..text.trim_end().len() {
        assert_eq!(of_text(&text.as_bytes()[..cut], Reach::Public), None);
    }
    for (from, to) in [("24", "25"), ("8.8.8.8:2", "8.8.8.8"), ("1970", "x"), ("raidas", "others")] {
        assert_eq!(of_text(text.replace(from, to).as_bytes(), Reach::Public), None, "{to}");
    }
}
