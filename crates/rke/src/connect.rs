//! `rke connect`: sends standard input to a session's Content Server and writes the response to standard output.
//! The key stays in the daemon. The exit status is as with ssh: that of the command at the other end, or 255 with a
//! one-line reason.

use std::io::ErrorKind;

use anyhow::Result;
use rke_client::response::Authenticated;
use rke_client::{Client, Error, call};
use tokio::io::{AsyncWriteExt, stdin, stdout};

use crate::cli::ask::Output;
use crate::failure::Exit;
use crate::session::WEAKLY_AUTHENTICATED;
use crate::terminal::{BAD, DOUBTFUL, clean, out_refusal, paint, say};
use crate::which;
use crate::words::in_words;

/// The exit code if the program itself fails.
const FAILED: u8 = 255;

pub(crate) async fn run(session: &str, output: &Output) -> Result<()> {
    let client = output.daemon.client();
    let session = match which::session(output, session).await {
        Ok(session) => session,
        Err(error) => return Err(failed(&in_words(&error))),
    };
    let session = session.as_str();
    let ended = match connect(&client, session).await {
        Ok(()) => return Ok(()),
        Err(Error::CommandFailed { status }) => u8::try_from(status).unwrap_or(FAILED),
        // The reader closed the pipe: that needs no message.
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => FAILED,
        Err(error) => {
            if output.json {
                out_refusal(&error);
            }
            return Err(failed(&in_one_line(&error, &client, session).await));
        }
    };
    Err(Exit(ended).into())
}

/// Prints why the program itself failed.
fn failed(reason: &str) -> anyhow::Error {
    say(&format!("{} {}", paint(BAD, "rke:"), clean(reason)));
    Exit(FAILED).into()
}

async fn connect(client: &Client, session: &str) -> Result<(), Error> {
    let shown = client.ask(&call::show(session)).await?;
    let warning = match shown.authenticated {
        Authenticated::Strong => None,
        Authenticated::Weak => Some(WEAKLY_AUTHENTICATED),
        Authenticated::No => Some(
            "WEAK: this tunnel has no authenticated end: a connection that is cut looks like the end of the data.",
        ),
    };
    if let Some(warning) = warning {
        say(&paint(DOUBTFUL, warning));
    }
    let mut response = client.tunnel(session, stdin()).await?;
    let mut stdout = stdout();
    // The end of the response ends the program, even if a terminal could send more input.
    while let Some(data) = response.piece().await? {
        stdout.write_all(&data).await.map_err(Error::Output)?;
        stdout.flush().await.map_err(Error::Output)?;
    }
    Ok(())
}

/// Describes the error and what to do about it.
async fn in_one_line(error: &Error, client: &Client, session: &str) -> String {
    match error {
        Error::CutShort { .. } => {
            format!(
                "the tunnel was cut before its end: {}; what arrived is incomplete",
                cause(client, session).await
            )
        }
        Error::NoDaemon { .. }
        | Error::Silent { .. }
        | Error::Token { .. }
        | Error::TokenRejected { .. }
        | Error::SessionGone(_) => format!("{error}; {}", error.remedy()),
        error => error.to_string(),
    }
}

/// Why a tunnel was cut. A response that breaks off has no room for a reason, so the daemon is asked for it
/// afterwards.
async fn cause(client: &Client, session: &str) -> String {
    match client.ask(&call::show(session)).await {
        Ok(shown) => match shown.tunnel_broken_off {
            Some(reason) => format!("the Content Server says: {reason}"),
            None => {
                "the Content Server or the connection to it broke off (the daemon's log says which)".into()
            }
        },
        Err(Error::SessionGone(_)) => "the session was deleted or has expired".into(),
        Err(_) => "the daemon has stopped".into(),
    }
}
