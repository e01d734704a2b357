//! The line format: a line of nonce, space and Base64 for each 24 KiB of data. A person can read and copy it, but
//! it does not show whether it was altered.

use std::io::{Cursor, Write};

use anyhow::{Context, Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_client::{Call, call};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use super::source::Source;
use super::target::Target;
use super::{SEALED, check_form, head, parse_nonce};
use crate::cli::ask::{Form, Output};
use crate::terminal::out_refusal;

const CHUNK_LEN: usize = 24 * 1024;

/// The longest line that `decrypt` takes, in bytes.
const MAX_LINE_LEN: u64 = 40 * 1024;

pub(super) async fn encrypt(
    session: &str,
    output: &Output,
    mut source: Source,
    target: &mut Target,
) -> Result<()> {
    let name = source.name().to_owned();
    for number in 1.. {
        let mut chunk = Vec::with_capacity(CHUNK_LEN);
        let read = (&mut source).take(CHUNK_LEN as u64).read_to_end(&mut chunk).await;
        if read.with_context(|| format!("cannot read {name}"))? == 0 {
            if number == 1 {
                bail!("nothing to encrypt: {name} is empty");
            }
            break;
        }
        let (text, encrypted) = reply(output, &call::encrypt(session, &chunk)).await?;
        let line = match output.json {
            true => text,
            false => format!("{} {}", encrypted.nonce, STANDARD.encode(encrypted.ciphertext)),
        };
        writeln!(target, "{line}").and_then(|()| target.flush()).map_err(target.wrong())?;
    }
    Ok(())
}

pub(super) async fn decrypt(
    session: &str,
    output: &Output,
    mut source: Source,
    target: &mut Target,
) -> Result<()> {
    let name = source.name().to_owned();
    let head = head(&mut source, SEALED.len()).await?;
    check_form(&head, Form::Lines, &name)?;
    let mut input = BufReader::new(Cursor::new(head).chain(source));
    for number in 1.. {
        let mut line = Vec::new();
        let read = (&mut input).take(MAX_LINE_LEN).read_until(b'\n', &mut line).await;
        if read.with_context(|| format!("cannot read {name}"))? == 0 {
            break;
        }
        let (nonce, data) = std::str::from_utf8(&line).ok().and_then(parse).with_context(|| {
            format!(
                "line {number} of {name} is not what `rke encrypt --lines` writes: a nonce, a space, Base64"
            )
        })?;
        let answer = reply(output, &call::decrypt(session, &data, nonce)).await;
        let (text, plain) = answer.with_context(|| format!("line {number}"))?;
        let written = match output.json {
            true => writeln!(target, "{text}"),
            false => target.write_all(&plain.plaintext),
        };
        written.and_then(|()| target.flush()).map_err(target.wrong())?;
    }
    Ok(())
}

fn parse(line: &str) -> Option<(&str, Vec<u8>)> {
    let (nonce, data) = line.trim().split_once(' ')?;
    parse_nonce(nonce)?;
    Some((nonce, STANDARD.decode(data).ok()?))
}

async fn reply<T: DeserializeOwned>(output: &Output, call: &Call<T>) -> Result<(String, T)> {
    let reply = output.daemon.client().reply(call).await;
    if let (true, Err(error)) = (output.json, &reply) {
        out_refusal(error);
    }
    let reply = reply?;
    Ok((reply.text, reply.value))
}

#[cfg(test)]
mod tests;
