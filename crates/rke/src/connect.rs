//! `rke connect`: sends standard input to the Content Server of a session or a domain, and writes the response to standard
//! output. The key stays in the daemon. The exit status is as with ssh: that of the command at the other end, or 255
//! with a one-line reason.

use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Result, anyhow};
use rke_client::Error;
use tokio::io::{AsyncWriteExt, stdin, stdout};

use crate::cli::ask::{Output, Whom};
use crate::failure::Exit;
use crate::settings::WrongSettings;
use crate::signals::Stop;
use crate::terminal::{BAD, clean, out_refusal, paint, say};
use crate::tunnel::{self, Supply, Tunnel, in_one_line};
use crate::which;
use crate::words::in_words;

/// The exit code if the program itself fails.
const FAILED: u8 = 255;

pub(crate) async fn run(whom: &Whom, wallet: Option<&PathBuf>, output: &Output) -> Result<()> {
    match whom {
        Whom::Session(_) if wallet.is_some() => Err(WrongSettings(anyhow!(
            "--wallet opens a session with a domain, and this is the id of an open session; leave one of them out"
        ))
        .into()),
        Whom::Session(given) => match which::session(output, given).await {
            Ok(id) => connect(&Supply::of_session(output.daemon.client(), id), output).await,
            Err(error) => Err(failed(&in_words(&error))),
        },
        Whom::Domain(domain) => with_domain(domain, wallet, output).await,
    }
}

/// Keeps the session alive meanwhile, and ends it in the end if it was opened for this. ssh ends its `ProxyCommand` with
/// a signal.
async fn with_domain(domain: &str, wallet: Option<&PathBuf>, output: &Output) -> Result<()> {
    let supply = Supply::of_domain(output.daemon.client(), domain, wallet)?;
    let mut stop = Stop::listen()?;
    let ended = tokio::select! {
        ended = connect(&supply, output) => ended,
        () = supply.keep() => Ok(()),
        () = stop.wait() => Err(Exit(FAILED).into()),
    };
    supply.end().await;
    ended
}

async fn connect(supply: &Supply, output: &Output) -> Result<()> {
    let mut tunnel = match tunnel::open(supply, stdin).await {
        Ok(tunnel) => tunnel,
        Err(error) => {
            refused(output, error.downcast_ref());
            return Err(failed(&in_one_line(&error)));
        }
    };
    let ended = match receive(&mut tunnel).await {
        Ok(()) => return Ok(()),
        Err(Error::CommandFailed { status }) => u8::try_from(status).unwrap_or(FAILED),
        // The reader closed the pipe: that needs no message.
        Err(Error::Output(error)) if error.kind() == ErrorKind::BrokenPipe => FAILED,
        Err(error) => {
            refused(output, Some(&error));
            return Err(failed(&tunnel.describe(&error, supply.client()).await));
        }
    };
    Err(Exit(ended).into())
}

/// Prints the daemon's refusal with `--json`.
fn refused(output: &Output, error: Option<&Error>) {
    error.filter(|_| output.json).into_iter().for_each(out_refusal);
}

/// Prints why the program itself failed.
fn failed(reason: &str) -> anyhow::Error {
    say(&format!("{} {}", paint(BAD, "rke:"), clean(reason)));
    Exit(FAILED).into()
}

/// Writes what arrives. The end of the response ends the program, even if a terminal could send more input.
async fn receive(tunnel: &mut Tunnel) -> Result<(), Error> {
    let mut stdout = stdout();
    while let Some(data) = tunnel.stream.piece().await? {
        stdout.write_all(&data).await.map_err(Error::Output)?;
        stdout.flush().await.map_err(Error::Output)?;
    }
    Ok(())
}
