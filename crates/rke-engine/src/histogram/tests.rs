use super::*;

#[test]
fn a_duration_falls_into_the_bucket_whose_bound_it_does_not_pass() {
    let histogram = Histogram::default();
    for micros in [0, 100, 101, 1_000_000, 10_000_001, 3_600_000_000] {
        histogram.add(Duration::from_micros(micros));
    }
    let counted = histogram.counted();
    let filled: Vec<_> = counted.buckets.iter().filter(|(_, count)| *count > 0).copied().collect();
    assert_eq!(filled, [(0.0001, 2), (0.00025, 1), (1.0, 1), (f64::INFINITY, 2)]);
    assert_eq!(counted.total(), 6);
    assert!((counted.sum - 3_611.000_202).abs() < 1e-6, "{}", counted.sum);
}
