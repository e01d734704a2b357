use std::time::Duration;

use super::*;

#[test]
fn who_is_busy_or_has_shown_the_token_is_not_sent_home() {
    let crowd = Crowd::new(4);
    let (one, other) = (crowd.enter(), crowd.enter());
    let since = one.idle_since().expect("idle");
    one.is_busy();
    assert!(one.idle_since().is_none() && !one.send_home(since));
    one.is_idle_since(Instant::now() + Duration::from_secs(1));
    assert!(one.idle_since() > other.idle_since());
    one.has_shown_token();
    assert!(one.idle_since().is_none());
    assert!(other.send_home(other.idle_since().expect("idle")));
    // A late update changes nothing.
    other.is_busy();
    other.is_idle_since(Instant::now());
    assert!(other.idle_since().is_none());
}

#[test]
fn a_crowd_is_large_from_half_of_its_places() {
    let crowd = Crowd::new(4);
    let mut places: Vec<_> = (0..2).map(|_| crowd.enter()).collect();
    assert!(!crowd.is_large() && !places[0].is_to_leave());
    places.push(crowd.enter());
    assert!(crowd.is_large() && places[0].is_to_leave());
    places[0].has_shown_token();
    assert!(!places[0].is_to_leave());
    places.pop();
    assert!(!crowd.is_large());
}
