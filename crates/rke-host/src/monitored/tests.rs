use super::*;

crate::kinds! {
    Fruit as "fruit" {
        Apple = "apple",
        Pear = "pear",
    }
}

crate::kinds! {
    Size as "size" {
        Small = "small",
        Middle = "middle",
        Large = "large",
    }
}

#[test]
fn each_kind_has_a_place_of_its_own() {
    let places: Vec<usize> = <(Fruit, Size)>::all().map(Kind::index).collect();
    assert_eq!(places, [0, 1, 2, 3, 4, 5]);
    assert_eq!(<(Fruit, Size)>::COUNT, 6);
}

#[test]
fn a_tally_shows_all_kinds_with_their_labels() {
    let tally = Tally::<(Fruit, Size)>::default();
    tally.add((Fruit::Pear, Size::Large));
    tally.add((Fruit::Pear, Size::Large));
    let metric = tally.metric("eaten", "Fruit that were eaten");
    assert_eq!((metric.samples.len(), metric.kind), (6, MetricKind::Counter));
    let last = Sample { labels: vec![("fruit", "pear"), ("size", "large")], value: 2 };
    assert_eq!(metric.samples.last(), Some(&last));
    assert!(metric.samples[..5].iter().all(|sample| sample.value == 0));
    assert_eq!((tally.of((Fruit::Pear, Size::Large)), tally.of((Fruit::Apple, Size::Middle))), (2, 0));
    assert_eq!(Size::Small.name(), "small");
}
