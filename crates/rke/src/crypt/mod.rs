//! `rke encrypt` and `rke decrypt`: files and pipes with a session's key. Data is sealed by default, so that
//! alterations show. `docs/cli.md` describes the forms.

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
use crate::which;

/// The first bytes of sealed data; see `docs/seal-format.md`.
const SEALED: &[u8; 7] = b"RKESEAL";

/// The first bytes of data that is only encrypted. The nonce follows, then the ciphertext.
const RAW: &[u8; 8] = b"RKE-CTR\x01";

const NONCE_LEN: usize = 16;

pub(crate) async fn encrypt(options: &EncryptOptions) -> Result<()> {
    let (ends, output, form) = (&options.ends, &options.output, options.form.form());
    check_json("encrypt", form, output);
    if form != Form::Lines && ends.goes_to_stdout() && stdout().is_terminal() {
        bail!("will not write data to a terminal; name a file with -o, or use --lines");
    }
    let session = which::session(output, &ends.session).await?;
    let source = Source::open(ends.file.as_deref()).await?;
    let mut target = Target::open(ends.out.as_deref(), source.mode())?;
    match form {
        Form::Lines => lines::encrypt(&session, output, source, &mut target).await?,
        Form::Sealed => {
            let bar = ends.bar("Sealing", &source);
            let data = bar.reading(source);
            copy(output.daemon.client().seal_stream(&session, data, ends.aad.as_bytes()).await?, &mut target)
                .await?;
        }
        Form::Raw => {
            let bar = ends.bar("Encrypting", &source);
            let data = bar.reading(source);
            let (nonce, stream) = output.daemon.client().encrypt_stream(&session, data).await?;
            let nonce = parse_nonce(&nonce).context("the daemon's response has no valid nonce")?;
            target.write_all(RAW).and_then(|()| target.write_all(&nonce)).map_err(target.wrong())?;
            copy(stream, &mut target).await?;
        }
    }
    target.finish()
}

pub(crate) async fn decrypt(options: &DecryptOptions) -> Result<()> {
    let (ends, output, form) = (&options.ends, &options.output, options.form.form());
    check_json("decrypt", form, output);
    let session = which::session(output, &ends.session).await?;
    let mut source = Source::open(ends.file.as_deref()).await?;
    let mut target = Target::open(ends.out.as_deref(), source.mode())?;
    let client = output.daemon.client();
    match form {
        Form::Lines => lines::decrypt(&session, output, source, &mut target).await?,
        Form::Sealed => {
            let head = head(&mut source, SEALED.len()).await?;
            check_form(&head, form, source.name())?;
            let (bar, name) = (ends.bar("Opening", &source), source.name().to_owned());
            let data = bar.reading(Cursor::new(head).chain(source));
            let stream = client.open_stream(&session, data, ends.aad.as_bytes()).await?;
            copy(stream, &mut target).await.map_err(|error| explain_cut(error, &name))?;
        }
        Form::Raw => {
            let nonce = match &options.nonce {
                Some(nonce) => nonce.clone(),
                None => nonce_in_front(&mut source).await?,
            };
            let bar = ends.bar("Decrypting", &source);
            copy(client.decrypt_stream(&session, &nonce, bar.reading(source)).await?, &mut target).await?;
        }
    }
    target.finish()
}

impl Ends {
    fn goes_to_stdout(&self) -> bool {
        self.out.as_ref().is_none_or(|path| path.as_os_str() == "-")
    }

    /// A progress bar, unless the data goes to the terminal, where the bar would interrupt it.
    fn bar(&self, what: &'static str, source: &Source) -> Bar {
        match self.goes_to_stdout() && stdout().is_terminal() {
            true => Bar::hidden(),
            false => Bar::of_bytes(what, source.len()),
        }
    }
}

/// `--json` prints the daemon's responses as they are. Only `--lines` has any.
fn check_json(name: &str, form: Form, output: &Output) {
    if output.json && form != Form::Lines {
        let text = "--json needs --lines: sealed and raw data is not made of JSON responses";
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

/// If the daemon discovers in the middle of sealed data that it was altered, it can only break off.
fn explain_cut(error: Error, name: &str) -> Error {
    match error.downcast_ref() {
        Some(rke_client::Error::CutShort { .. }) => {
            error.context(format!("{name} was altered or is cut short, or its session ended meanwhile"))
        }
        _ => error,
    }
}

/// The first `len` bytes, or fewer if there is less data.
async fn head(source: &mut Source, len: usize) -> Result<Vec<u8>> {
    let mut head = Vec::with_capacity(len);
    let read = source.take(len as u64).read_to_end(&mut head).await;
    read.with_context(|| format!("cannot read {}", source.name()))?;
    Ok(head)
}

/// The form that data with this beginning has, if it has one.
fn form_of(head: &[u8]) -> Option<Form> {
    match head {
        head if head == SEALED => Some(Form::Sealed),
        head if head == &RAW[..SEALED.len()] => Some(Form::Raw),
        head if head.len() == SEALED.len() && head.iter().all(u8::is_ascii_hexdigit) => Some(Form::Lines),
        _ => None,
    }
}

/// Refuses data of another form than the user wants. Otherwise anyone could substitute such data for sealed data.
fn check_form(head: &[u8], wanted: Form, name: &str) -> Result<()> {
    match (wanted, form_of(head)) {
        (_, None) if head.is_empty() => bail!("nothing to decrypt: {name} is empty"),
        (Form::Sealed, None) => {
            bail!("{name} is not what `rke encrypt` writes: sealed data begins with RKESEAL")
        }
        (Form::Sealed, Some(Form::Raw)) => bail!(
            "{name} is only encrypted, not sealed: nothing shows whether it was altered; --raw decrypts it anyway"
        ),
        (Form::Sealed, Some(Form::Lines)) => bail!(
            "{name} looks like lines, which are not sealed: nothing shows whether they were altered; --lines decrypts them anyway"
        ),
        (Form::Lines, Some(Form::Sealed)) => bail!("{name} is sealed data; leave out --lines"),
        (Form::Raw, Some(Form::Sealed)) => bail!("{name} is sealed data; leave out --raw"),
        (Form::Lines, Some(Form::Raw)) => {
            bail!("{name} is what `rke encrypt --raw` writes; give --raw, not --lines")
        }
        (Form::Raw, Some(Form::Lines)) => bail!("{name} looks like lines; give --lines, not --raw"),
        // The rest of the data shows whether it has the form.
        (Form::Raw | Form::Lines, None)
        | (Form::Sealed, Some(Form::Sealed))
        | (Form::Raw, Some(Form::Raw))
        | (Form::Lines, Some(Form::Lines)) => Ok(()),
    }
}

async fn nonce_in_front(source: &mut Source) -> Result<String> {
    let head = head(source, RAW.len() + NONCE_LEN).await?;
    check_form(&head[..head.len().min(SEALED.len())], Form::Raw, source.name())?;
    match head.strip_prefix(RAW) {
        Some(nonce) if nonce.len() == NONCE_LEN => {
            Ok(nonce.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        _ => bail!(
            "{} is not what `rke encrypt --raw` writes: it does not begin with a nonce; if you have the nonce, give it with \
             --nonce",
            source.name()
        ),
    }
}

/// Parses a nonce of 32 hexadecimal digits.
fn parse_nonce(text: &str) -> Option<[u8; NONCE_LEN]> {
    let whole = text.len() == 2 * NONCE_LEN && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    whole.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(u128::to_be_bytes)
}

#[cfg(test)]
mod tests;
