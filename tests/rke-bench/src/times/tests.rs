use super::*;

#[test]
fn half_lie_within_the_median_and_nearly_all_within_the_99th_part() {
    let mut times = Times::new().expect("a histogram");
    (1..=100).for_each(|micros| times.add(Duration::from_micros(micros)));
    assert_eq!(times.count(), 100);
    assert!((times.p50() - 50.0).abs() < 0.1 && (times.p99() - 99.0).abs() < 0.1);
}
