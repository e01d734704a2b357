//! `cargo xtask book`: the pages that the daemon serves at `/book/`, from `docs/SUMMARY.md` and the chapters that it
//! names. mdBook's own crates read the summary and the Markdown. Its templates need scripts that stand in the page, which
//! the daemon's Content-Security-Policy refuses, so the pages are put together here: complete without a script, and with
//! nothing that a browser would have to load from elsewhere. The one script that they name applies the theme that was
//! chosen in the console.

mod chapter;
mod links;
mod page;
mod text;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use chapter::chapters;
use links::check_links;
use page::{missing, page};
use text::{Text, text};

/// Where the pages lie, and what names them for the daemon.
const PAGES: &str = "crates/rke-daemon/book";
const NAMES: &str = "crates/rke-daemon/src/http/api/pages/book/names.rs";

/// The page that the daemon shows in place of one that does not exist.
const MISSING: &str = "404.html";

const STYLE: &str = include_str!("book.css");

/// The files of the book, by their names.
type Files = BTreeMap<String, String>;

/// Writes the pages, and removes outdated ones.
pub(crate) fn book() -> Result<()> {
    let files = built()?;
    let folder = root().join(PAGES);
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    for name in names_in(&folder)?.iter().filter(|name| !files.contains_key(*name)) {
        fs::remove_file(folder.join(name)).with_context(|| format!("cannot remove {name}"))?;
    }
    for (name, content) in &files {
        fs::write(folder.join(name), content).with_context(|| format!("cannot write {name}"))?;
    }
    fs::write(root().join(NAMES), names(&files)).with_context(|| format!("cannot write {NAMES}"))
}

/// Builds all files of the book, and follows every link.
fn built() -> Result<Files> {
    let summary = read("docs/SUMMARY.md")?;
    let chapters = chapters(&summary)?;
    let texts: Vec<Text> = chapters
        .iter()
        .map(|chapter| text(chapter, &chapters).with_context(|| format!("in {}", chapter.source)))
        .collect::<Result<_>>()?;
    let mut files =
        Files::from([("book.css".to_owned(), STYLE.to_owned()), (MISSING.to_owned(), missing(&chapters))]);
    for picture in texts.iter().flat_map(|text| &text.pictures) {
        files.insert(file_name(picture), read(picture)?);
    }
    for (number, text) in texts.iter().enumerate() {
        files.insert(chapters[number].page.clone(), page(&chapters, number, text));
    }
    check_links(&files)?;
    Ok(files)
}

/// The source that has the daemon include the files.
fn names(files: &Files) -> String {
    let names: String = files.keys().map(|name| format!("    \"{name}\",\n")).collect();
    format!(
        "//! The files of the book. `cargo xtask book` writes them, and this.\n\nsuper::files! {{\n{names}}}\n"
    )
}

fn names_in(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    Ok(entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect())
}

/// Reads a file by its path from the top of the project.
fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))
}

fn file_name(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[cfg(test)]
mod tests;
