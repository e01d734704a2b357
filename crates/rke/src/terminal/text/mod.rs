//! Text for people on standard output, or the daemon's JSON instead.

use std::io::{self, ErrorKind, Write};

use anyhow::Result;
use rke_client::Error;

use super::size::{width, width_of_messages};
use super::wrap::wrapped;

/// The reader of standard output has closed the pipe. That is not an error: nobody has to read all of the output.
#[derive(Debug, thiserror::Error)]
#[error("nothing reads standard output any longer")]
pub(crate) struct SeenEnough;

/// Standard output takes nothing, a full disk say.
#[derive(Debug, thiserror::Error)]
#[error("cannot write standard output")]
pub(crate) struct Unwritten(#[source] io::Error);

/// Whether only the output failed: what it is about has been done, and what comes next can be done all the same.
pub(crate) fn is_about_output(error: &anyhow::Error) -> bool {
    error.is::<SeenEnough>() || error.is::<Unwritten>()
}

/// The first failure of the output, put aside so that the work that it is about goes on.
#[derive(Default)]
pub(crate) struct OutputFailure(Option<anyhow::Error>);

impl OutputFailure {
    /// Puts a failure of the output aside.
    ///
    /// # Errors
    /// Every other failure.
    pub(crate) fn put_aside<T>(&mut self, done: Result<T>) -> Result<()> {
        match done {
            Err(error) if is_about_output(&error) => drop(self.0.get_or_insert(error)),
            done => drop(done?),
        }
        Ok(())
    }

    /// The failure, once the work is done.
    pub(crate) fn into_result(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Prints text for people, in lines that fit into the terminal.
pub(crate) fn out_text(text: &str) -> Result<()> {
    out(&wrapped(text, width()))
}

/// Prints a line as it is, however long it is.
pub(crate) fn out(text: &str) -> Result<()> {
    printed(writeln!(anstream::stdout().lock(), "{text}"))
}

/// The result of printing to standard output, with [`SeenEnough`] for a closed pipe.
pub(crate) fn printed(written: io::Result<()>) -> Result<()> {
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Err(SeenEnough.into()),
        other => other.map_err(|error| Unwritten(error).into()),
    }
}

/// Prints the JSON of an error response. A failure to print it is ignored, because the error itself is reported
/// anyway.
pub(crate) fn out_refusal(error: &Error) {
    if let Some(refusal) = error.refusal() {
        let _ = out(&refusal.text);
    }
}

/// Prints a message on standard error, apart from the output.
pub(crate) fn say(text: &str) {
    // If standard error fails, no place is left to report that.
    let _ = writeln!(anstream::stderr().lock(), "{}", wrapped(text, width_of_messages()));
}

/// Replaces characters that could control a terminal or reverse the direction of writing. Use it for text from
/// elsewhere.
pub(crate) fn clean(text: &str) -> String {
    let commands = |sign: char| {
        (sign.is_control() && sign != '\n')
            || matches!(sign, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.replace(commands, "\u{fffd}")
}

#[cfg(test)]
mod tests;
