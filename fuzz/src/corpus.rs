//! The corpus: small files in `tests/__fuzz__/<target>/corpus`, where bolero looks for them too. The target's decoder
//! must accept a file whose name starts with `good` and refuse one that starts with `refused`; any other, such as a
//! find of a fuzzer, may be either.

use std::path::PathBuf;
use std::{env, fs};

/// Set to write what [`holds`] would miss.
const WRITE: &str = "RKE_FUZZ_WRITE";

/// A file of a corpus: its name and its bytes.
pub type File = (String, Vec<u8>);

fn folder(target: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "__fuzz__", target, "corpus"].iter().collect()
}

/// The files of a target's corpus, by name.
///
/// # Panics
/// When there are none: a target without them has been renamed or moved.
pub fn files(target: &str) -> Vec<File> {
    let entries = fs::read_dir(folder(target)).expect("the target has a corpus");
    let paths = entries.map(|entry| entry.expect("an entry").path()).filter(|path| path.is_file());
    let mut files: Vec<File> = paths
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(&path).expect("a file that can be read"))
        })
        .collect();
    assert!(!files.is_empty(), "the corpus of {target} is empty");
    files.sort();
    files
}

/// Checks every file of a corpus against its name; `takes` says whether the decoder accepts it.
///
/// # Panics
/// If the decoder's verdict contradicts the name.
pub fn check_names(target: &str, takes: impl Fn(&[u8]) -> bool) {
    for (name, bytes) in files(target) {
        let taken = takes(&bytes);
        assert!(taken || !name.starts_with("good"), "{target}: {name} is refused");
        assert!(!taken || !name.starts_with("refused"), "{target}: {name} is taken");
    }
}

/// Checks that the corpus holds these files. With `RKE_FUZZ_WRITE=1` it writes them instead.
///
/// # Panics
/// When one is missing or differs.
pub fn holds(target: &str, files: Vec<File>) {
    for (name, bytes) in files {
        let path = folder(target).join(&name);
        if env::var_os(WRITE).is_some() {
            fs::create_dir_all(folder(target)).expect("a folder for the corpus");
            fs::write(&path, &bytes).expect("a file of the corpus");
        }
        let there = fs::read(&path).ok();
        assert!(there == Some(bytes), "{} is not up to date, {WRITE}=1 writes it", path.display());
    }
}
