//! `rke export`: a key of a session, for a program that takes it from standard output.

use std::io::{self, IsTerminal, stdout};

use anyhow::{Result, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_client::call;
use rke_secret::SecretBuffer;
use rustix::io::{Errno, write};

use crate::cli::psk::{ExportFormat, ExportOptions};
use crate::key_response::{KeyResponse, NoKey};
use crate::protection;
use crate::terminal::printed;
use crate::which;

/// The buffer that the key is decoded in.
const SECRETS: usize = 4;

/// Room for the longest key and its line of Base64.
const ROOM: usize = 256;

pub(crate) fn run(options: &ExportOptions) -> Result<()> {
    if options.format == ExportFormat::Raw && !options.output.json && stdout().is_terminal() {
        bail!("will not write a raw key to a terminal; redirect it, or leave out --format");
    }
    let runtime = protection::start_runtime(options.protection, SECRETS, None)?;
    runtime.block_on(export(options))
}

async fn export(options: &ExportOptions) -> Result<()> {
    let ExportOptions { session, label, context, length, format, output, .. } = options;
    let session = which::session(output, session).await?;
    let call = call::export(&session, label, &context.0, *length);
    let response = KeyResponse::ask(&output.daemon.client(), &call).await?;
    if output.json {
        return printed(write_all(response.json()).and_then(|()| write_all(b"\n")));
    }
    let mut buffer = SecretBuffer::new(ROOM)?;
    let written = buffer.expose_mut(|room| {
        let (key, text) = room.split_at_mut(*length);
        response.read_key(key)?;
        Ok::<_, NoKey>(match format {
            ExportFormat::Raw => write_all(key),
            ExportFormat::Base64 => {
                // There is room for any key.
                let len = STANDARD.encode_slice(&*key, text).unwrap_or_default();
                text[len] = b'\n';
                write_all(&text[..=len])
            }
        })
    });
    printed(written?)
}

/// Writes to standard output without the buffer of the standard library, which would keep a copy.
fn write_all(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write(stdout(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => (),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
