//! The size of the terminal.

use std::io::{IsTerminal, stderr, stdout};

/// The size to assume for a terminal that does not know its own, such as a serial line, or one after `stty cols 0`.
const UNKNOWN: (u16, u16) = (80, 24);

/// Columns and lines of the terminal.
pub(crate) fn size() -> (u16, u16) {
    let (width, height) = crossterm::terminal::size().unwrap_or_default();
    let known = |size: u16, otherwise| if size == 0 { otherwise } else { size };
    (known(width, UNKNOWN.0), known(height, UNKNOWN.1))
}

/// The columns of standard output, if it is a terminal.
pub(super) fn width() -> Option<u16> {
    stdout().is_terminal().then(|| size().0)
}

/// The columns for help, which goes to standard error if the command line is wrong.
pub(crate) fn help_width() -> Option<u16> {
    (stdout().is_terminal() || stderr().is_terminal()).then(|| size().0)
}
