//! Pieces of text that records and directories have in common.

use std::str::FromStr;

/// A number in digits alone: `parse` would take a sign too.
pub(crate) fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A line of DNS text as a warning may show it: printable, and not endless.
pub(crate) fn shown(line: &str) -> String {
    line.chars().take(80).flat_map(char::escape_debug).collect()
}
