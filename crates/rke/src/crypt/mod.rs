//! `rke encrypt` and `rke decrypt`: files and pipes with a session's key. Data is sealed unless another
//! form is asked for, so that it shows when it was altered; `docs/cli.md` describes the forms.

mod lines;
mod new_file;
mod source;
mod target;

use std::io::{Cursor, IsTerminal, Write, stdout};

use anyhow::{Context, Error, Result, bail};
use clap::error::ErrorKind;
use rke_client::Stream;
use tokio::io::AsyncReadExt;

use self::source::Source;
use self::target::Target;
use crate::cli::ask::{DecryptOptions, EncryptOptions, Ends, Form, Output};
use crate::cli::help;
use crate::terminal::Bar;

/// What sealed data begins with; `docs/seal-format.md`.
const SEALED: &[u8; 7] = b"RKESEAL";

/// What data begins with that is only encrypted. The nonce follows, then the ciphertext.
const RAW: &[u8; 8] = b"RKE-CTR\x01";

const NONCE_LEN: usize = 16;

pub(crate) async fn encrypt(options: &EncryptOptions) -> Result<()> {
    let (ends, output, form) = (&options.ends, &options.output, options.form.form());
    check_json("encrypt", form, output);
    if form != Form::Lines && ends.goes_to_stdout() && stdout().is_terminal() {
        bail!("will not write data to a terminal; name a file with -o, or use --lines");
    }
    let source = Source::open(ends.file.as_deref()).await?;
    let mut target = Target::open(ends.out.as_deref(), source.mode())?;
    match form {
        Form::Lines => lines::encrypt(&ends.session, output, source, &mut target).await?,
        Form::Sealed => {
            let bar = ends.bar("Sealing", &source);
            let data = bar.reading(source);
            copy(
                output.daemon.client().seal_stream(&ends.session, data, ends.aad.as_bytes()).await?,
                &mut target,
            )
            .await?;
        }
        Form::Raw => {
            let bar = ends.bar("Encrypting", &source);
            let data = bar.reading(source);
            let (nonce, stream) = output.daemon.client().encrypt_stream(&ends.session, data).await?;
            let nonce = parse_nonce(&nonce).context("the daemon gave no good nonce")?;
            target.write_all(RAW).and_then(|()| target.write_all(&nonce)).map_err(target.wrong())?;
            copy(stream, &mut target).await?;
        }
    }
    target.finish()
}

pub(crate) async fn decrypt(options: &DecryptOptions) -> Result<()> {
    let (ends, output, form) = (&options.ends, &options.output, options.form.form());
    check_json("decrypt", form, output);
    let mut source = Source::open(ends.file.as_deref()).await?;
    let mut target = Target::open(ends.out.as_deref(), source.mode())?;
    let client = output.daemon.client();
    match form {
        Form::Lines => lines::decrypt(&ends.session, output, source, &mut target).await?,
        Form::Sealed => {
            let head = head(&mut source, SEALED.len()).await?;
            check_sealed(&head, &source)?;
            let (bar, name) = (ends.bar("Opening", &source), source.name().to_owned());
            let data = bar.reading(Cursor::new(head).chain(source));
            let stream = client.open_stream(&ends.session, data, ends.aad.as_bytes()).await?;
            copy(stream, &mut target).await.map_err(|error| explain_cut(error, &name))?;
        }
        Form::Raw => {
            let nonce = match &options.nonce {
                Some(nonce) => nonce.clone(),
                None => nonce_in_front(&mut source).await?,
            };
            let bar = ends.bar("Decrypting", &source);
            copy(client.decrypt_stream(&ends.session, &nonce, bar.reading(source)).await?, &mut target)
                .await?;
        }
    }
    target.finish()
}

impl Ends {
    fn goes_to_stdout(&self) -> bool {
        self.out.as_ref().is_none_or(|path| path.as_os_str() == "-")
    }

    /// A bar, unless it would stand in the middle of the data.
    fn bar(&self, what: &'static str, source: &Source) -> Bar {
        match self.goes_to_stdout() && stdout().is_terminal() {
            true => Bar::hidden(),
            false => Bar::of_bytes(what, source.len()),
        }
    }
}

/// `--json` prints the daemon's answers, and only lines come as such.
fn check_json(name: &str, form: Form, output: &Output) {
    if output.json && form != Form::Lines {
        let text = "--json is for the answers that --lines is made of; sealed and raw data has none";
        let mut command = help::command();
        command.build();
        let command = command.find_subcommand_mut(name).cloned();
        command.unwrap_or_default().error(ErrorKind::ArgumentConflict, text).exit();
    }
}

async fn copy(mut stream: Stream, target: &mut Target) -> Result<()> {
    while let Some(piece) = stream.piece().await? {
        target.write_all(&piece).map_err(target.wrong())?;
    }
    Ok(())
}

/// A daemon that finds in the middle of sealed data that it is not what was sealed can only break off.
fn explain_cut(error: Error, name: &str) -> Error {
    match error.downcast_ref() {
        Some(rke_client::Error::CutShort { .. }) => {
            error.context(format!("{name} was altered or is cut short, or its session ended meanwhile"))
        }
        _ => error,
    }
}

/// The first bytes, as many of `len` as there are.
async fn head(source: &mut Source, len: usize) -> Result<Vec<u8>> {
    let mut head = Vec::with_capacity(len);
    let read = source.take(len as u64).read_to_end(&mut head).await;
    read.with_context(|| format!("cannot read {}", source.name()))?;
    Ok(head)
}

/// Data of another form is refused: whoever can put it in the place of sealed data must not get it through.
fn check_sealed(head: &[u8], source: &Source) -> Result<()> {
    let name = source.name();
    if head == SEALED {
        return Ok(());
    }
    if head.is_empty() {
        bail!("nothing to decrypt: {name} is empty");
    }
    if head == &RAW[..SEALED.len()] {
        bail!(
            "{name} is only encrypted, not sealed: nothing shows whether it was altered; --raw decrypts it all the same"
        );
    }
    if head.iter().all(u8::is_ascii_hexdigit) {
        bail!(
            "{name} looks like lines, which are not sealed: nothing shows whether they were altered; --lines decrypts them all the same"
        );
    }
    bail!("{name} is not what `rke encrypt` writes: sealed data begins with RKESEAL")
}

async fn nonce_in_front(source: &mut Source) -> Result<String> {
    let head = head(source, RAW.len() + NONCE_LEN).await?;
    match head.strip_prefix(RAW) {
        Some(nonce) if nonce.len() == NONCE_LEN => {
            Ok(nonce.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        _ => bail!(
            "{} is not what `rke encrypt --raw` writes: no nonce is in front; where you have it, give it with --nonce",
            source.name()
        ),
    }
}

/// A nonce from its 32 hexadecimal digits.
fn parse_nonce(text: &str) -> Option<[u8; NONCE_LEN]> {
    let whole = text.len() == 2 * NONCE_LEN && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    whole.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_32_digits() {
        let nonce = parse_nonce("000102030405060708090a0b0c0d0eff").expect("a nonce");
        assert_eq!((nonce[1], nonce[15]), (1, 255));
        for wrong in ["", "00", "000102030405060708090a0b0c0d0ef", "+00102030405060708090a0b0c0d0e0f"] {
            assert_eq!(parse_nonce(wrong), None, "{wrong}");
        }
    }
}
