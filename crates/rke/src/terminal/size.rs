//! The size of the terminal.

use std::env::var;
use std::io::{IsTerminal, stderr, stdout};

/// The size to assume for a terminal that does not know its own, such as a serial line, or one after `stty cols 0`.
const UNKNOWN: (u16, u16) = (80, 24);

/// Columns and lines of the terminal.
pub(crate) fn size() -> (u16, u16) {
    let (width, height) = crossterm::terminal::size().unwrap_or_default();
    let known = |size: u16, otherwise| if size == 0 { otherwise } else { size };
    (known(width, UNKNOWN.0), known(height, UNKNOWN.1))
}

/// The columns for text on standard output.
pub(super) fn width() -> usize {
    width_of(stdout().is_terminal())
}

/// The columns for text on standard error.
pub(super) fn width_of_messages() -> usize {
    width_of(stderr().is_terminal())
}

/// The columns for help, which goes to standard error if the command line is wrong.
pub(crate) fn help_width() -> usize {
    width_of(stdout().is_terminal() || stderr().is_terminal())
}

/// What `COLUMNS` says, else the columns of the terminal, if the output is one. Else no line is too long.
fn width_of(is_terminal: bool) -> usize {
    let wanted = var("COLUMNS").ok().and_then(|columns| columns.parse().ok()).filter(|columns| *columns > 0);
    wanted.unwrap_or_else(|| if is_terminal { size().0.into() } else { usize::MAX })
}
