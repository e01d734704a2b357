//! `rke connect`: standard input to a session's Content Server, what it says to standard output. The key stays in the
//! daemon. It ends as ssh does: with the exit status of the command at the other end, or with 255 and one line of reason.

use std::io::ErrorKind;

use anyhow::Result;
use rke_client::answer::Authenticated;
use rke_client::{Client, Error, call};
use tokio::io::{AsyncWriteExt, stdin, stdout};

use crate::cli::ask::Output;
use crate::failure::Exit;
use crate::session::WEAKLY_AUTHENTICATED;
use crate::terminal::{BAD, DOUBTFUL, clean, out_refusal, paint, say};

/// The exit code where it is not the command's.
const FAILED: u8 = 255;

pub(crate) async fn run(session: &str, output: &Output) -> Result<()> {
    let client = output.daemon.client();
    let ended = match connect(&client, session).await {
        Ok(()) => return Ok(()),
        Err(Error::CommandFailed { status }) => u8::try_from(status).unwrap_or(FAILED),
        // Nobody reads on: that needs no words.
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => FAILED,
        Err(error) => {
            if output.json {
                out_refusal(&error);
            }
            let reason = in_one_line(&error, &client, session).await;
            say(&format!("{} {}", paint(BAD, "rke:"), clean(&reason)));
            FAILED
        }
    };
    Err(Exit(ended).into())
}

async fn connect(client: &Client, session: &str) -> Result<(), Error> {
    let shown = client.ask(&call::show(session)).await?;
    let warning = match shown.authenticated {
        Authenticated::Strong => None,
        Authenticated::Weak => Some(WEAKLY_AUTHENTICATED),
        Authenticated::No => Some(
            "WEAK: this tunnel has no authenticated end: a connection that is cut looks like the data's end.",
        ),
    };
    if let Some(warning) = warning {
        say(&paint(DOUBTFUL, warning));
    }
    let mut response = client.tunnel(session, stdin()).await?;
    let mut stdout = stdout();
    // The response's end is the end, also where a terminal would go on.
    while let Some(data) = response.piece().await? {
        stdout.write_all(&data).await.map_err(Error::Output)?;
        stdout.flush().await.map_err(Error::Output)?;
    }
    Ok(())
}

/// What went wrong, and what to do about it.
async fn in_one_line(error: &Error, client: &Client, session: &str) -> String {
    match error {
        Error::CutShort { .. } => {
            format!(
                "the tunnel was cut before its end: {}; what came is not complete",
                cause(client, session).await
            )
        }
        Error::NoDaemon { .. } | Error::Token { .. } | Error::SessionGone(_) => {
            format!("{error}; {}", error.remedy())
        }
        error => error.to_string(),
    }
}

/// Why a tunnel was cut. A response that breaks off has no room for a reason, so the daemon is asked for it.
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
