//! `rke connect`: standard input to a session's Content Server, what it says to standard output. The
//! key stays in the daemon.

use anyhow::{Context, Result};
use http_body_util::BodyExt;
use http_body_util::channel::Channel;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt, stdin, stdout};

use crate::cli::Output;
use crate::client::{self, ClientError};
use crate::print::path_segment;

const CHUNK_LEN: usize = 16 * 1024;

/// Chunks that wait to be sent.
const WAITING: usize = 4;

pub(crate) async fn run(session: &str, output: &Output) -> Result<()> {
    let path = format!("/api/rke/session/{}/tunnel", path_segment(session));
    let (mut body, to_send) = Channel::<Bytes>::new(WAITING);
    let read = async move {
        let mut chunk = vec![0; CHUNK_LEN];
        while let Ok(len @ 1..) = stdin().read(&mut chunk).await {
            if body.send_data(Bytes::copy_from_slice(&chunk[..len])).await.is_err() {
                return;
            }
        }
    };
    // It waits for standard input, which may never end: it is left behind at the end.
    tokio::spawn(read);
    let mut answer = client::post(&output.daemon, &path, to_send).await?;
    if answer.status() != 200 {
        let text = answer.into_body().collect().await.context("the daemon hung up")?.to_bytes();
        let answer = serde_json::from_slice(&text).context("the daemon's answer is not JSON")?;
        if output.json {
            println!("{answer}");
        }
        return Err(ClientError::refused(answer).into());
    }
    let mut stdout = stdout();
    while let Some(frame) = answer.body_mut().frame().await {
        let frame = frame.context("the tunnel broke: what came so far may be cut short")?;
        if let Ok(data) = frame.into_data() {
            stdout.write_all(&data).await.context("cannot write standard output")?;
            stdout.flush().await.context("cannot write standard output")?;
        }
    }
    Ok(())
}
