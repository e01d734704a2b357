//! Spans of time as people write them.

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

/// A span of `seconds`, in a suitable unit.
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
mod tests;
