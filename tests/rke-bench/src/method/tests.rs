use super::*;

/// Returns the numbers one after the other.
fn measured(numbers: &[f64]) -> Triples<f64> {
    let mut numbers = numbers.iter().copied().cycle();
    triples(Pace::LONG, |number| *number, |_| Ok(numbers.next().expect("a cycle has no end")))
        .expect("no errors")
}

#[test]
fn the_ratio_is_to_the_mean_of_both_runs_of_the_peer() {
    let triples = measured(&[100.0, 95.0, 104.0]);
    assert!(triples.steady);
    assert_eq!(triples.kept.len(), Pace::LONG.wanted);
    let ratio = triples.ratio(|number| *number);
    assert!((ratio.median - 95.0 / 102.0).abs() < 1e-9);
    assert!((triples.ours(|number| *number) - 95.0).abs() < 1e-9);
    assert!((triples.peer(|number| *number) - 102.0).abs() < 1e-9);
}

#[test]
fn triples_with_an_unsteady_peer_do_not_count() {
    let triples = measured(&[100.0, 90.0, 100.0, 100.0, 10.0, 150.0]);
    assert!(triples.steady);
    assert!((triples.ratio(|number| *number).min - 0.9).abs() < 1e-9);
}

#[test]
fn a_peer_that_is_never_steady_is_told() {
    let triples = measured(&[100.0, 90.0, 120.0]);
    assert!(!triples.steady);
    assert_eq!(triples.kept.len(), Pace::LONG.most_tries);
}

#[test]
fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
    let spread = Spread::of([4.0, 1.0, 2.0, 3.0]);
    assert_eq!(spread, Spread { median: 2.5, min: 1.0, max: 4.0 });
    assert!(Spread::of([]).median.is_nan());
}
