//! `cargo xtask notices`: THIRD-PARTY.md, which names every crate that the shipped program is linked from, with its
//! licence, its copyright lines, and the text of each licence that is neither MIT nor Apache-2.0.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::dependencies::{Linked, allows, linked};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../THIRD-PARTY.md");

/// Licences whose texts are already in this repository.
const OURS: [&str; 2] = ["MIT", "Apache-2.0"];

/// How the names of files begin in which crates have their licences and notices.
const NAMES: [&str; 4] = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];

const INTRODUCTION: &str = "\
# Third-party notices

The program `rke` is linked from the crates below, from Rust's standard library (MIT OR Apache-2.0) and from the GNU C library
(LGPL-2.1-or-later): dynamically where `cargo install` builds it, statically in the packages of `cargo xtask dist`, which have the text of
that licence. Anyone can link it again with another C library from the sources of both. `cargo xtask notices --write` makes this file from `Cargo.lock` and the crates' sources, and
a test fails where it is out of date.

A crate that may be used under MIT or under Apache-2.0 is used under one of these; [LICENSE-MIT](LICENSE-MIT) and
[LICENSE-APACHE](LICENSE-APACHE) have their texts. The texts of all other licences are at the end.

The console's font is a part of Inter, under the SIL Open Font License 1.1, whose text lies beside it in
`crates/rke-daemon/console/inter-licence.txt`.
";

/// Fails where the file is not what the dependencies give.
pub(crate) fn compare() -> Result<()> {
    let written = fs::read_to_string(FILE).unwrap_or_default();
    ensure!(written == notices()?, "THIRD-PARTY.md is out of date: run cargo xtask notices --write");
    Ok(())
}

/// Writes the file.
pub(crate) fn write() -> Result<()> {
    fs::write(FILE, notices()?).context("cannot write THIRD-PARTY.md")
}

fn notices() -> Result<String> {
    let linked = linked()?;
    let mut text = INTRODUCTION.to_owned();
    text += "\n## Crates\n\n| crate | version | licence | copyright |\n|---|---|---|---|\n";
    for one in &linked {
        let Linked { name, version, licence, home, .. } = one;
        let copyright = copyright_lines(one)?.join("<br>");
        writeln!(text, "| [{name}]({home}) | {version} | {licence} | {copyright} |")?;
    }
    text += "\n## Texts\n";
    for (licence, crates) in texts(&linked)? {
        write!(text, "\n### {}\n\n```text\n{licence}\n```\n", crates.join(", "))?;
    }
    Ok(text)
}

/// The copyright lines in a crate's licences and notices, each once.
fn copyright_lines(of: &Linked) -> Result<Vec<String>> {
    let mut lines: Vec<String> = Vec::new();
    for file in files(of)? {
        for line in read(&file)?.lines().filter(|line| is_copyright(line)) {
            let line = line.trim().replace('|', "\\|").replace('<', "&lt;");
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
    }
    Ok(lines)
}

/// Whether a line names a copyright holder and is not part of the licence text itself.
fn is_copyright(line: &str) -> bool {
    let line = line.trim();
    let names_somebody =
        line.starts_with("Copyright") && line.chars().any(|c| c.is_ascii_digit() || c == '©');
    names_somebody || line.starts_with("Copyright (c) ")
}

/// The texts of licences that are neither MIT nor Apache-2.0, each with the crates that have it.
fn texts(linked: &[Linked]) -> Result<BTreeMap<String, Vec<&str>>> {
    let mut texts: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for one in linked.iter().filter(|one| !allows(&one.licence, &OURS)) {
        for file in files(one)? {
            let crates = texts.entry(read(&file)?.trim().to_owned()).or_default();
            if crates.last() != Some(&one.name.as_str()) {
                crates.push(&one.name);
            }
        }
    }
    Ok(texts)
}

/// A crate's licences and notices, in the order of their names.
fn files(of: &Linked) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(&of.folder).with_context(|| format!("cannot read {}", of.folder.display()))?;
    let is_one = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        path.is_file() && NAMES.iter().any(|start| name.starts_with(start))
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(is_one).collect();
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<String> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(text.replace("\r\n", "\n"))
}

#[cfg(test)]
mod tests;
