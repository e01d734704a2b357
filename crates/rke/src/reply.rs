//! The daemon's answers as they are printed: text for people, or the JSON itself.

use anyhow::Result;
use rke_client::{Call, Error, Reply};
use serde::de::DeserializeOwned;

use crate::cli::ask::Output;
use crate::terminal::{out, out_refusal};

/// Makes a call and prints its answer: as it came with `--json`, else as `as_text` puts it. A refusal is
/// printed as JSON too where that was asked for, and stays an error.
pub(crate) async fn answer<T: DeserializeOwned>(
    output: &Output,
    call: &Call<T>,
    as_text: impl FnOnce(&T) -> String,
) -> Result<T> {
    print(output, output.daemon.client().reply(call).await, as_text)
}

/// The same for an answer that has come already.
pub(crate) fn print<T>(
    output: &Output,
    reply: Result<Reply<T>, Error>,
    as_text: impl FnOnce(&T) -> String,
) -> Result<T> {
    match reply {
        Ok(reply) => {
            out(if output.json { reply.text.clone() } else { as_text(&reply.value) }.as_str())?;
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
