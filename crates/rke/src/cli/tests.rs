use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::CommandFactory;

use super::*;

/// The flags of a command and of those below it.
fn flags(command: &clap::Command) -> BTreeSet<String> {
    let shown = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let own = shown.filter_map(|arg| Some(format!("--{}", arg.get_long()?)));
    own.chain(command.get_subcommands().flat_map(flags)).collect()
}

/// The text of all pages in a folder of the book.
fn pages(folder: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
    let paths = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let pages = paths.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    pages.map(|page| fs::read_to_string(page).expect("a page")).collect()
}

/// Whether a text names this flag, and not only a longer one that begins with it.
fn names(text: &str, flag: &str) -> bool {
    let mut after = text.split(flag).skip(1).map(|rest| rest.chars().next());
    after.any(|next| next.is_none_or(|sign| !sign.is_ascii_alphanumeric() && sign != '-'))
}

#[test]
fn every_flag_is_on_a_page() {
    let pages = pages("docs") + &pages("docs/readers");
    let flags = flags(&Cli::command());
    let missing: Vec<&String> = flags.iter().filter(|flag| !names(&pages, flag)).collect();
    assert!(flags.len() > 60, "{flags:?}");
    assert!(missing.is_empty(), "no page in docs names {missing:?}");
}

#[test]
fn the_start_of_a_longer_flag_is_another_one() {
    assert!(names("use `--data-dir`", "--data-dir") && names("--data", "--data"));
    assert!(!names("use --data-dir", "--data"));
}
