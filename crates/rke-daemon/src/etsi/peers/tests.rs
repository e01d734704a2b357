use super::*;

#[test]
fn waits_after_failures_grow_to_ten_seconds() {
    let mut failure = None;
    let waits = [(); 6].map(|()| {
        let next = Failure::after(failure.as_ref(), Refusal::unavailable("no DNS"));
        failure.insert(next).wait.as_secs()
    });
    assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
}
