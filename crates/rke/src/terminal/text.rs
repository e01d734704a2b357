//! Text for people on standard output, or the daemon's JSON in its place.

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result};
use rke_client::Error;

/// Whoever read what was printed for people has seen enough and went away.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads standard output any more")]
pub(crate) struct SeenEnough;

/// Prints text and an end of line.
pub(crate) fn out(text: &str) -> Result<()> {
    printed(writeln!(anstream::stdout().lock(), "{text}"))
}

/// What came of printing something for people, of whom nobody has to read all.
pub(crate) fn printed(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(SeenEnough.into()),
        other => other.context("cannot write standard output"),
    }
}

/// Prints a refusal that the daemon gave as JSON. Whether that succeeds changes nothing: it is told of as
/// an error too.
pub(crate) fn out_refusal(error: &Error) {
    if let Some(refusal) = error.refusal() {
        let _ = out(&refusal.text);
    }
}

/// Tells something beside the output, on standard error.
pub(crate) fn say(text: &str) {
    // Nobody is left to tell that it cannot be told.
    let _ = writeln!(anstream::stderr().lock(), "{text}");
}

/// A text from elsewhere without what could command a terminal or turn its writing around.
pub(crate) fn clean(text: &str) -> String {
    let commands = |sign: char| {
        (sign.is_control() && sign != '\n')
            || matches!(sign, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(commands, "\u{fffd}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_from_elsewhere_cannot_command_the_terminal() {
        assert_eq!(clean("a\x1b[2Jb\r\u{9b}c\u{202e}d\ne ü"), "a\u{fffd}[2Jb\u{fffd}\u{fffd}c\u{fffd}d\ne ü");
    }
}
