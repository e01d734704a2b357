//! Parts of text that records and directories share.

use std::str::FromStr;

/// A number with digits only: `parse` would accept a sign too.
pub(crate) fn number<T: FromStr>(text: &str) -> Option<T> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// A line of DNS text in a form fit for a warning: printable, and of limited length.
pub(crate) fn shown(line: &str) -> String {
    line.chars().take(80).flat_map(char::escape_debug).collect()
}
