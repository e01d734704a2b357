//! Errors, numbers and places as text.

use std::net::SocketAddr;

/// The error and its causes. A cause that the text already contains is left out: many errors include their cause. So are the numbers of
/// the system's errors, which its words say better.
pub(crate) fn in_words(error: &anyhow::Error) -> String {
    let mut words = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !words.contains(&cause) {
            words = format!("{words}: {cause}");
        }
    }
    without_numbers(&words)
}

/// A text without each ` (os error NUMBER)`.
fn without_numbers(words: &str) -> String {
    let mut parts = words.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|byte| byte.is_ascii_digit()) => plain += rest,
            _ => plain = format!("{plain} (os error {part}"),
        }
    }
    plain
}

/// A number of things: `1 file`, `2 files`.
pub(crate) fn counted(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lines that say where things are.
pub(crate) fn places(places: &[(&str, String)]) -> Vec<String> {
    let width = places.iter().map(|(what, _)| what.len()).max().unwrap_or_default() + 2;
    places.iter().map(|(what, place)| format!("  {what:<width$} {place}")).collect()
}

/// Where the nodes of a network are, RAIDA 0 first.
pub(crate) fn nodes(addresses: &[SocketAddr]) -> (&'static str, String) {
    let range = match addresses {
        [first, .., last] => format!("{first} to {last} (UDP)"),
        _ => String::new(),
    };
    ("25 RAIDA nodes", range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_the_system_s_errors_are_left_out() {
        let refused = std::io::Error::from_raw_os_error(111);
        let error =
            anyhow::Error::from(refused).context("cannot reach it (os error codes are left out) at all");
        let words = in_words(&error);
        assert_eq!(words, "cannot reach it (os error codes are left out) at all: Connection refused");
    }
}
