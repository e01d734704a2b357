//! `rke encrypt` and `rke decrypt`: standard input to standard output with a session's key, in
//! chunks that fit a request, each on a line of its own: nonce, space, Base64.

use std::io::{BufRead, BufReader, Read, Write, stdin, stdout};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::cli::Output;
use crate::client::{Answer, ask};
use crate::print::answer_or_text;

/// Base64 makes a third more of it, percent-encoding a little more: it fits 48 KiB of URI.
const CHUNK_LEN: usize = 24 * 1024;

/// Longest line that `decrypt` takes, in bytes.
const MAX_LINE_LEN: u64 = 40 * 1024;

pub(crate) async fn encrypt(session: &str, output: &Output) -> Result<()> {
    let mut input = stdin().lock();
    let mut chunks = 0;
    loop {
        let mut chunk = Vec::with_capacity(CHUNK_LEN);
        input
            .by_ref()
            .take(CHUNK_LEN as u64)
            .read_to_end(&mut chunk)
            .context("cannot read standard input")?;
        if chunk.is_empty() {
            break;
        }
        chunks += 1;
        let parameters = [("session_id", session), ("plaintext", &STANDARD.encode(&chunk))];
        let answer = ask(&output.daemon, "/api/rke/encrypt", &parameters).await;
        answer_or_text(answer, output, |answer| {
            println!("{} {}", text(&answer["nonce"]), text(&answer["ciphertext"]));
        })?;
    }
    if chunks == 0 {
        bail!("nothing to encrypt: standard input is empty");
    }
    Ok(())
}

pub(crate) async fn decrypt(session: &str, output: &Output) -> Result<()> {
    let mut input = BufReader::new(stdin());
    for number in 1.. {
        let mut line = String::new();
        let read = input.by_ref().take(MAX_LINE_LEN).read_line(&mut line);
        if read.context("cannot read standard input")? == 0 {
            if number == 1 {
                bail!("nothing to decrypt: standard input is empty");
            }
            break;
        }
        let (nonce, ciphertext) = line.trim().split_once(' ').with_context(|| {
            format!("line {number} is not what `rke encrypt` writes: a nonce, a space, Base64")
        })?;
        let parameters = [("session_id", session), ("ciphertext", ciphertext), ("nonce", nonce)];
        let answer: Answer = ask(&output.daemon, "/api/rke/decrypt", &parameters)
            .await
            .with_context(|| format!("line {number}"))?;
        if output.json {
            println!("{}", answer.text);
            continue;
        }
        let data =
            STANDARD.decode(text(&answer.json["plaintext"])).context("the daemon's answer is not Base64")?;
        stdout().write_all(&data).context("cannot write standard output")?;
    }
    stdout().flush().context("cannot write standard output")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
