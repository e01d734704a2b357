//! Checks the documents' statements about the sources, and the wording of both.

mod commands;

use std::fs;
use std::path::{Path, PathBuf};

use regex::{Regex, RegexBuilder};

pub(crate) use self::commands::blocks_of;

/// Top-level folders of the project. Documents name files in them.
const FOLDERS: [&str; 7] = ["clients/", "crates/", "docs/", "fuzz/", "packaging/", "tests/", "xtask/"];

/// Extensions of files with text for people.
const EXTENSIONS: [&str; 6] = ["go", "html", "js", "md", "py", "rs"];

/// Files that others have written.
const FOREIGN: [&str; 2] = ["THIRD-PARTY.md", "axe.min.js"];

/// Folders with generated files.
const BUILT: [&str; 2] = ["target", "node_modules"];

/// The Markdown files in a folder.
fn documents_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn every_file_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = [
        root.clone(),
        root.join("docs"),
        root.join("docs/decisions"),
        root.join("docs/readers"),
        root.join("fuzz"),
    ];
    for document in folders.iter().flat_map(|folder| documents_in(folder)) {
        let text = fs::read_to_string(&document).expect("text");
        // The quoted texts that may be paths. Patterns and quotes across lines are not.
        let quoted =
            text.split('`').skip(1).step_by(2).filter(|text| !text.contains(['\n', ' ', '*', '{', '<', '…']));
        for path in quoted.filter(|path| FOLDERS.iter().any(|folder| path.starts_with(folder))) {
            let path = path.split_once(':').map_or(path, |(path, _)| path);
            assert!(root.join(path).exists(), "{} names {path}", document.display());
        }
    }
}

/// A phrase that no file may use, and its replacement.
struct Retired {
    phrase: Regex,
    instead: String,
}

fn retired_phrases(root: &Path) -> Vec<Retired> {
    let text = fs::read_to_string(root.join("tests/retired-phrases.txt")).expect("the retired phrases");
    let mut instead = "";
    let mut phrases = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix("# ") {
            Some(comment) => instead = comment,
            None => {
                let phrase = RegexBuilder::new(line).case_insensitive(true).build();
                phrases
                    .push(Retired { phrase: phrase.expect("a regular expression"), instead: instead.into() });
            }
        }
    }
    phrases
}

/// The files with text below a folder, except hidden, built and foreign ones.
fn texts_in(folder: &Path, texts: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, name) = (entry.path(), entry.file_name().into_string().expect("UTF-8"));
        let is_ours = !name.starts_with('.') && !BUILT.contains(&&*name) && !FOREIGN.contains(&&*name);
        let is_text = path.extension().is_some_and(|it| EXTENSIONS.iter().any(|extension| it == *extension));
        match entry.file_type().expect("its type") {
            kind if kind.is_dir() && is_ours => texts_in(&path, texts),
            kind if kind.is_file() && is_ours && is_text => texts.push(path),
            _ => (),
        }
    }
}

#[test]
fn no_file_uses_a_retired_phrase() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let (phrases, mut texts) = (retired_phrases(&root), Vec::new());
    texts_in(&root, &mut texts);
    assert!(phrases.len() > 10 && texts.len() > 500, "{} phrases, {} files", phrases.len(), texts.len());
    let mut found = Vec::new();
    for path in texts {
        let text = fs::read_to_string(&path).expect("text");
        for (at, line) in text.lines().enumerate() {
            for Retired { phrase, instead } in &phrases {
                if let Some(used) = phrase.find(line) {
                    let path = path.strip_prefix(&root).expect("a path below the root").display();
                    found.push(format!("{path}:{}: {:?}; write: {instead}", at + 1, used.as_str()));
                }
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}
