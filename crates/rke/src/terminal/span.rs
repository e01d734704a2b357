//! Spans of time as people say them.

use jiff::Timestamp;

/// How far away a time is: `in 42 min`, `18 min ago`.
pub(crate) fn from_now(at: Timestamp) -> String {
    between(Timestamp::now(), at)
}

fn between(now: Timestamp, at: Timestamp) -> String {
    let seconds = (at.as_millisecond() - now.as_millisecond()).div_euclid(1000);
    match seconds {
        0 => "now".into(),
        1.. => format!("in {}", span(seconds.unsigned_abs())),
        _ => format!("{} ago", span(seconds.unsigned_abs())),
    }
}

/// A span of so many seconds, in the unit that fits.
pub(crate) fn span(seconds: u64) -> String {
    let nearest = |unit: u64| (seconds + unit / 2) / unit;
    match seconds {
        ..90 => format!("{seconds} s"),
        90..5400 => format!("{} min", nearest(60)),
        5400..172_800 => format!("{} h", nearest(3600)),
        _ => format!("{} days", nearest(86_400)),
    }
}

#[cfg(test)]
mod tests {
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
}
