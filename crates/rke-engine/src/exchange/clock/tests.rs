use std::time::Duration;

use super::*;

#[test]
fn a_clock_that_was_set_since_raidas_accepted_its_time_is_told_by_how_much() {
    let (accepted, start) = (AcceptedTime::default(), Moment::now());
    let at = |unix_seconds: u64, after: u64| AskedAt {
        unix_seconds,
        moment: start.after(Duration::from_secs(after)),
    };
    let told = |asked| accepted.compare(asked).to_string();
    assert!(told(at(0, 0)).contains("is probably wrong. It said 1970-01-01T00:00:00Z, and"));
    accepted.note(at(1_800_000_000, 0));
    for (said, expected) in [
        (1_800_000_060, "said 2027-01-15T08:01:00Z, and has not been set since"),
        (1_800_000_069, "has not been set since"),
        (1_800_003_660, "has been put forward by 3600 seconds since"),
        (1_799_999_660, "said 2027-01-15T07:54:20Z, and has been put back by 400 seconds since"),
    ] {
        assert!(told(at(said, 60)).contains(expected), "{}", told(at(said, 60)));
    }
    accepted.note(at(1_800_003_660, 60));
    assert!(told(at(1_800_003_661, 61)).contains("has not been set since"), "what was accepted counts");
}
