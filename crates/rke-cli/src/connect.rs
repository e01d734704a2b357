//! `rke connect`: standard input to a session's Content Server, what it says to standard output. The
//! key stays in the daemon.

use anyhow::Result;
use rke_client::Error;
use tokio::io::{AsyncWriteExt, stdin, stdout};

use crate::cli::ask::Output;
use crate::terminal::out;

pub(crate) async fn run(session: &str, output: &Output) -> Result<()> {
    match connect(session, output).await {
        Err(error) => {
            if let (true, Some(refusal)) = (output.json, error.refusal()) {
                out(&refusal.text)?;
            }
            Err(error.into())
        }
        Ok(()) => Ok(()),
    }
}

async fn connect(session: &str, output: &Output) -> Result<(), Error> {
    let mut answer = output.daemon.client().tunnel(session, stdin()).await?;
    let mut stdout = stdout();
    while let Some(data) = answer.piece().await? {
        stdout.write_all(&data).await.map_err(Error::Output)?;
        stdout.flush().await.map_err(Error::Output)?;
    }
    Ok(())
}
