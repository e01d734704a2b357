use super::*;

#[test]
fn is_used_up_and_comes_back_one_by_one() {
    let limit = RateLimit::new(3, Duration::from_secs(10));
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
    let limit = RateLimit::new(1, Duration::from_secs(1));
    let start = Moment::now();
    for user in 0..MAX_USERS {
        assert!(limit.take(&user.to_string(), start).is_ok());
    }
    assert!(limit.take("7", start).is_err() && limit.take("one more", start).is_err());
    let later = start.after(Duration::from_secs(1));
    assert!(limit.take("one more", later).is_ok());
    assert_eq!(limit.full_at.lock().expect("unpoisoned").len(), 1);
}
