use super::*;

#[test]
fn the_next_minute_says_how_many_lines_were_left_out() {
    let limit = LogLimit::default();
    let logged = (0..1000).filter(|_| limit.take(59).is_some()).count();
    assert_eq!(logged as u64, LINES_PER_MINUTE);
    assert_eq!(limit.take(60), Some(1000 - LINES_PER_MINUTE));
    assert_eq!(limit.take(61), Some(0));
}
