use super::*;

const REQUIRED: usize = 13;

fn first(count: usize) -> Bitmap {
    RaidaIndex::all().take(count).collect()
}

/// All sets that are tried if these RAIDAs answer and no set is right.
fn all_sets(answered: Bitmap) -> Vec<Bitmap> {
    let mut sets = ShareSets::default();
    std::iter::from_fn(|| sets.next(answered, REQUIRED, chance)).collect()
}

#[test]
fn five_sets_are_tried_all_first_and_then_as_few_as_are_required() {
    for count in [14, 20, 25] {
        let sets = all_sets(first(count));
        assert_eq!((sets.len(), sets[0]), (MOST_SETS, first(count)));
        for set in &sets[1..] {
            assert!(set.count() == REQUIRED && set.is_within(first(count)), "{set:?}");
        }
    }
    assert_eq!(all_sets(first(REQUIRED)), [first(REQUIRED)], "there is no other");
}

#[test]
fn a_liar_among_all_is_left_out_whoever_it_is() {
    for _ in 0..100 {
        let sets = all_sets(first(25));
        for liar in RaidaIndex::all() {
            assert!(sets.iter().any(|set| !set.contains(liar)), "{liar} is in all of {sets:?}");
        }
    }
}

#[test]
fn two_liars_are_left_out_more_often_than_not() {
    let is_clean = |set: &Bitmap| first(2).iter().all(|liar| !set.contains(liar));
    let clean = (0..1000).filter(|_| all_sets(first(25)).iter().any(is_clean)).count();
    assert!((500..1000).contains(&clean), "{clean} of 1000");
}

#[test]
fn with_more_that_answer_there_is_another_set() {
    let mut sets = ShareSets::default();
    assert!(sets.next(first(13), REQUIRED, chance).is_some());
    assert!(sets.next(first(13), REQUIRED, chance).is_none() && sets.may_have_more());
    let other = sets.next(first(14), REQUIRED, chance).expect("another set");
    assert!(other.count() == REQUIRED && other.is_within(first(14)));
    while sets.next(first(25), REQUIRED, chance).is_some() {}
    assert_eq!((sets.tried(), sets.may_have_more()), (MOST_SETS, false));
}

#[test]
fn without_random_bytes_no_set_is_tried() {
    let mut sets = ShareSets::default();
    assert!(sets.next(first(25), REQUIRED, || None).is_none());
    assert_eq!(sets.tried(), 0);
}
