//! What the documents say of the sources.

use std::fs;
use std::path::{Path, PathBuf};

/// Folders at the top of the project that documents name files in.
const FOLDERS: [&str; 7] = ["clients/", "crates/", "docs/", "fuzz/", "packaging/", "tests/", "xtask/"];

/// The Markdown files in a folder.
fn documents_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn every_file_that_a_document_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let folders = [root.clone(), root.join("docs"), root.join("docs/decisions"), root.join("fuzz")];
    for document in folders.iter().flat_map(|folder| documents_in(folder)) {
        let text = fs::read_to_string(&document).expect("text");
        // What is between backticks, except patterns and what goes over the end of a line.
        let quoted =
            text.split('`').skip(1).step_by(2).filter(|text| !text.contains(['\n', ' ', '*', '{', '<', '…']));
        for path in quoted.filter(|path| FOLDERS.iter().any(|folder| path.starts_with(folder))) {
            let path = path.split_once(':').map_or(path, |(path, _)| path);
            assert!(root.join(path).exists(), "{} names {path}", document.display());
        }
    }
}
