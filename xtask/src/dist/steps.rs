//! The programs that packages are made with.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// Runs a program, which has to succeed.
pub(super) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(status.success(), "{command:?} failed: {status}");
    Ok(())
}

/// What a program prints, which has to succeed.
pub(super) fn printed(command: &mut Command) -> Result<String> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", output.status);
    String::from_utf8(output.stdout).with_context(|| format!("{command:?} printed something other than text"))
}

/// GNU tar, set to make the same archive of the same files no matter who owns them and when they were written.
pub(super) fn tar(epoch: &str, owner: u32) -> Command {
    let mut command = Command::new("tar");
    command.args(["--sort=name", "--format=gnu", "--numeric-owner"]).env("LC_ALL", "C");
    command.arg(format!("--mtime=@{epoch}")).args([format!("--owner={owner}"), format!("--group={owner}")]);
    command
}

/// The SHA-256 sums of files in a folder, as `sha256sum --check` reads them.
pub(super) fn sums(folder: &Path, names: &[String]) -> Result<String> {
    printed(Command::new("sha256sum").args(names).current_dir(folder))
}

/// A time in Unix seconds as RFC 3339 writes it.
pub(super) fn rfc_3339(epoch: &str) -> Result<String> {
    let mut date = Command::new("date");
    let text = printed(date.args(["--utc", "+%Y-%m-%dT%H:%M:%SZ", "--date"]).arg(format!("@{epoch}")))?;
    Ok(text.trim().to_owned())
}
