//! How the program ends when a command fails: the error on standard error, what to type next, an exit code.

use std::io;
use std::process::ExitCode;

use rke_client::Error;

use crate::audit::Unknown;
use crate::terminal::{BAD, DIM, clean, paint, say, span};

/// Tells of the error, and gives the exit code that says what kind it is.
pub(crate) fn tell(error: &anyhow::Error) -> ExitCode {
    if error.chain().any(has_no_reader) {
        // Whoever read the output has seen enough.
        return ExitCode::SUCCESS;
    }
    say(&format!("{} {}", paint(BAD, "rke:"), clean(&format!("{error:#}"))));
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    if let Some(hint) = cause.and_then(hint) {
        say(&paint(DIM, format!("     {hint}")));
    }
    ExitCode::from(match cause {
        Some(Error::NoDaemon { .. } | Error::NotUnderstood { .. }) => 3,
        _ if error.is::<Unknown>() => 2,
        _ => 1,
    })
}

fn has_no_reader(cause: &(dyn std::error::Error + 'static)) -> bool {
    let of_client = cause.downcast_ref().and_then(|error: &Error| match error {
        Error::Output(error) => Some(error),
        _ => None,
    });
    of_client.or(cause.downcast_ref()).is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// What to type next, where the message does not say it.
fn hint(error: &Error) -> Option<String> {
    match error {
        Error::NoDaemon { .. } => {
            Some("start one with `rke serve`, or name another address with --daemon".into())
        }
        Error::Token { .. } => {
            Some("name the file `token` of the daemon's data folder with --token-file".into())
        }
        Error::SessionGone(_) => {
            Some("`rke session list` shows those that there are, `rke session create` opens a new one".into())
        }
        Error::FreshKeyNeeded(_) => Some("`rke session create … --fresh` opens one with a new key".into()),
        Error::TryLater(refusal) => {
            refusal.retry_after.map(|wait| format!("try again in {}", span(wait.as_secs())))
        }
        _ => None,
    }
}
