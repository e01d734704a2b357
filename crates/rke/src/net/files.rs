//! The files of a network: scripts that run its parts, and settings.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rke_host::durable::write_new;

use super::part::RUN;

/// A script that runs a command in its own folder.
pub(super) fn script(command: &str) -> String {
    format!("#!/bin/sh\ncd \"$(dirname \"$0\")\" && exec {command}\n")
}

/// A text as one word of a shell.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

/// Writes a script that only its owner can change and run.
pub(super) fn write_script(folder: &Path, text: &str) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o700).open(folder.join(RUN))?;
    file.write_all(text.as_bytes())
}

pub(super) fn write(path: &Path, text: &str) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    write_new(folder, path, |file| file.write_all(text.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_text_is_one_word_of_a_shell() {
        let text = "printf '%s' \"$HOME\" `date` \\";
        let echo = format!("printf %s {}", quoted(text));
        let said = std::process::Command::new("sh").args(["-c", &echo]).output().expect("sh runs");
        assert_eq!(String::from_utf8_lossy(&said.stdout), text);
    }
}
