//! Prints the daemon's responses: as text for people, or as the JSON itself.

use anyhow::Result;
use rke_client::{Call, Error, Reply};
use serde::de::DeserializeOwned;

use crate::cli::ask::Output;
use crate::terminal::{out, out_refusal, out_text};

/// Makes a call and prints the response: unchanged with `--json`, else as `as_text` formats it. With `--json`, an
/// error response is printed too, and is still returned as an error.
pub(crate) async fn answer<T: DeserializeOwned>(
    output: &Output,
    call: &Call<T>,
    as_text: impl FnOnce(&T) -> String,
) -> Result<T> {
    print(output, output.daemon.client().reply(call).await, as_text)
}

/// Prints a response that has already arrived, as [`answer`] does.
pub(crate) fn print<T>(
    output: &Output,
    reply: Result<Reply<T>, Error>,
    as_text: impl FnOnce(&T) -> String,
) -> Result<T> {
    match reply {
        Ok(reply) => {
            match output.json {
                true => out(&reply.text)?,
                false => out_text(&as_text(&reply.value))?,
            }
            Ok(reply.value)
        }
        Err(error) => {
            if output.json {
                out_refusal(&error);
            }
            Err(error.into())
        }
    }
}
