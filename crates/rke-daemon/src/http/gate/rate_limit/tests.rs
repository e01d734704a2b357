use super::*;

fn limit(most: u32, seconds: u64) -> RateLimit {
    RateLimit::new(Allowance { most, every: Duration::from_secs(seconds) })
}

#[test]
fn is_used_up_and_comes_back_one_by_one() {
    let limit = limit(3, 10);
    let start = Moment::now();
    let take = |seconds| limit.take("a", start.after(Duration::from_secs(seconds)));
    assert!((0..3).all(|_| take(0).is_ok()));
    assert_eq!(take(0), Err(Duration::from_secs(10)));
    assert_eq!(take(4), Err(Duration::from_secs(6)));
    assert!(take(10).is_ok() && take(10).is_err());
    assert!((0..3).all(|_| take(100).is_ok()) && take(100).is_err());
}

#[test]
fn each_user_has_its_own_and_their_number_is_bounded() {
    let limit = limit(1, 1);
    let start = Moment::now();
    for user in 0..MAX_USERS {
        assert!(limit.take(&user.to_string(), start).is_ok());
    }
    assert!(limit.take("7", start).is_err() && limit.take("one more", start).is_err());
    let later = start.after(Duration::from_secs(1));
    assert!(limit.take("one more", later).is_ok());
    assert_eq!(limit.0.lock().expect("unpoisoned").full_at.len(), 1);
}

#[test]
fn another_allowance_holds_at_once_and_the_same_one_changes_nothing() {
    let (limit, start) = (limit(1, 1000), Moment::now());
    let same = Allowance { most: 1, every: Duration::from_secs(1000) };
    assert!(limit.take("a", start).is_ok());
    limit.set(same);
    assert!(limit.take("a", start).is_err());
    limit.set(Allowance { most: 2, ..same });
    assert!(
        limit.take("a", start).is_ok() && limit.take("a", start).is_ok() && limit.take("a", start).is_err()
    );
}

#[test]
fn a_rate_is_as_many_a_second() {
    for (rate, every) in [(1, 1_000_000_000), (50, 20_000_000), (1_000_000, 1000)] {
        let expected = Allowance { most: 7, every: Duration::from_nanos(every) };
        assert_eq!(Allowance::from(CreationLimit { rate, burst: 7 }), expected);
    }
    let least = Allowance { most: 1, every: Duration::from_secs(1) };
    assert_eq!(Allowance::from(CreationLimit { rate: 0, burst: 0 }), least, "unchecked, from the library");
}
