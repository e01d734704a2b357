use super::*;

#[test]
fn spans_are_in_the_unit_that_fits() {
    for (seconds, text) in [
        (0, "0 s"),
        (89, "89 s"),
        (90, "2 min"),
        (2520, "42 min"),
        (3599, "60 min"),
        (5399, "90 min"),
        (5400, "2 h"),
        (86_399, "24 h"),
        (172_799, "48 h"),
        (172_800, "2 days"),
        (u64::MAX / 2, "106751991167301 days"),
    ] {
        assert_eq!(span(seconds), text);
    }
}

#[test]
fn times_lie_ahead_or_back() {
    let at = |second: i64| Timestamp::from_second(second).expect("a time");
    assert_eq!(between(at(100), at(142)), "in 42 s");
    assert_eq!(between(at(142), at(100)), "42 s ago");
    assert_eq!(between(at(100), at(100)), "now");
}
