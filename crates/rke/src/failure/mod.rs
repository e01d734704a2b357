//! How the program ends when a command fails: with the error on standard error, a suggestion and an exit code.

use std::process::ExitCode;

use rke_client::Error;

use crate::audit::Unknown;
use crate::settings::WrongSettings;
use crate::terminal::{BAD, DIM, SeenEnough, clean, paint, say, span};
use crate::words::in_words;

/// The program ends with this exit code. Everything has already been printed.
#[derive(Debug, thiserror::Error)]
#[error("the exit code is {0}")]
pub(crate) struct Exit(pub(crate) u8);

/// Prints the error, and returns the exit code of its kind.
pub(crate) fn tell(error: &anyhow::Error) -> ExitCode {
    if error.is::<SeenEnough>() {
        return ExitCode::SUCCESS;
    }
    if let Some(Exit(code)) = error.downcast_ref() {
        return ExitCode::from(*code);
    }
    say(&format!("{} {}", paint(BAD, "rke:"), clean(&in_words(error))));
    let cause = error.chain().find_map(|cause| cause.downcast_ref::<Error>());
    if let Some(hint) = cause.and_then(hint) {
        say(&paint(DIM, format!("     {hint}")));
    }
    ExitCode::from(match cause {
        Some(Error::NoDaemon { .. } | Error::Silent { .. } | Error::NotUnderstood { .. }) => 3,
        _ if error.is::<Unknown>() || error.is::<WrongSettings>() => 2,
        _ => 1,
    })
}

/// What to type next, if the message does not say it.
fn hint(error: &Error) -> Option<String> {
    match error {
        Error::NoDaemon { .. } => {
            Some("start one with `rke serve`, or name another address with --daemon".into())
        }
        Error::Silent { .. } => {
            Some("check whether it is stopped or overloaded; --timeout gives it longer".into())
        }
        Error::Token { .. } | Error::TokenRejected { .. } => {
            Some(format!("--token-file or RKE_TOKEN_FILE names that file; {}", error.remedy()))
        }
        Error::SessionGone(_) => {
            Some("`rke session list` shows the open sessions, `rke session create` opens a new one".into())
        }
        Error::FreshKeyNeeded(_) => Some("`rke session create … --fresh` opens one with a new key".into()),
        Error::TryLater(refusal) => {
            let wait = refusal.retry_after?.as_secs();
            Some(match refusal.is_full() {
                true => format!(
                    "end one with `rke session delete` (`rke session list` shows them), or try again in {}",
                    span(wait)
                ),
                false => format!("try again in {}", span(wait)),
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
