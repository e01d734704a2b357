use super::*;

const LIMITS: UsageLimits = UsageLimits { messages: 3, bytes: 100 };

fn so_far(messages: u64, bytes: u64) -> Usage {
    Usage { messages: messages.into(), bytes: bytes.into() }
}

#[test]
fn messages_and_bytes_are_bounded_exactly() {
    let usage = Usage::default();
    assert_eq!(usage.add(2, 0, LIMITS), Ok(()));
    assert_eq!(usage.add(1, 99, LIMITS), Ok(()));
    assert_eq!(usage.add(1, 0, LIMITS), Err(UsedUp));
    assert!(usage.is_used_up(LIMITS) && !so_far(2, 99).is_used_up(LIMITS));
    assert_eq!(usage.add(0, 1, LIMITS), Ok(()));
    assert_eq!(usage.add(0, 1, LIMITS), Err(UsedUp));
    assert_eq!(usage.so_far(), (3, 100));
}

#[test]
fn a_use_rejected_for_its_bytes_counts_no_messages() {
    let usage = so_far(1, 60);
    assert_eq!(usage.add(2, 41, LIMITS), Err(UsedUp));
    assert_eq!(usage.so_far(), (1, 60));
    assert_eq!(usage.add(2, 40, LIMITS), Ok(()));
}

#[test]
fn what_would_overflow_is_refused() {
    let usage = so_far(u64::MAX, u64::MAX);
    assert_eq!(usage.add(1, 0, UsageLimits { messages: u64::MAX, bytes: u64::MAX }), Err(UsedUp));
    assert_eq!(usage.add(0, 1, UsageLimits { messages: u64::MAX, bytes: u64::MAX }), Err(UsedUp));
}
