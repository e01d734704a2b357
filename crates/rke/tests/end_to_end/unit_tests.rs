//! A rule for the sources of unit tests: they wait for events, never for a span of time.

use std::fs;
use std::path::{Path, PathBuf};

/// Files that may sleep, and the reason.
const EXCEPTIONS: [(&str, &str); 1] = [(
    "rke-daemon/src/daemon/tests/differential/mod.rs",
    "a client sends the pieces of a request a moment apart, over a connection that cannot say when one has been read",
)];

/// The sources below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let below = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    entries.flat_map(below).collect()
}

/// Whether a source belongs to unit tests, by its path in the folder of the crates: `tests.rs`, and everything in
/// folders called `tests`.
fn is_of_unit_tests(path: &Path) -> bool {
    path.with_extension("").iter().any(|part| part == "tests")
}

/// The lines that sleep in real time: those with a thread's sleep, and those with tokio's, unless the file pauses
/// tokio's time.
fn sleeps(source: &str) -> Vec<&str> {
    let is_paused = source.contains("start_paused");
    let code = source.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    let is_real = |before: &str| before.ends_with("thread::") || !is_paused;
    code.filter(|line| calls_to_sleep(line).any(is_real)).collect()
}

/// The text before each call of a function whose name begins with `sleep`. Methods and definitions do not count.
fn calls_to_sleep(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("sleep").filter_map(move |(at, name)| {
        let (before, after) = (&line[..at], &line[at + name.len()..]);
        let is_call = after.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_').starts_with('(');
        let is_part = before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '.');
        (is_call && !is_part && !before.ends_with("fn ")).then_some(before)
    })
}

#[test]
fn no_unit_test_sleeps_in_real_time() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let crates = crates.canonicalize().expect("the folder of the crates");
    let members = fs::read_dir(&crates).expect("a folder").map(|member| member.expect("an entry").path());
    let (mut files, mut excepted): (usize, Vec<&(&str, &str)>) = (0, Vec::new());
    for file in members.flat_map(|member| sources(&member.join("src"))) {
        let path = file.strip_prefix(&crates).expect("a path below");
        if !is_of_unit_tests(path) {
            continue;
        }
        let source = fs::read_to_string(&file).expect("a source");
        let lines = sleeps(&source);
        let exception = EXCEPTIONS.iter().find(|(excepted, _)| path == Path::new(excepted));
        assert!(lines.is_empty() || exception.is_some(), "{} sleeps: {lines:#?}", path.display());
        excepted.extend(exception.filter(|_| !lines.is_empty()));
        files += 1;
    }
    assert!(files > 100, "{files}");
    assert_eq!(excepted.len(), EXCEPTIONS.len(), "one that does not sleep needs no exception: {excepted:?}");
}

#[test]
fn a_sleep_is_seen() {
    let paused = "#[tokio::test(start_paused = true)]\n";
    for (line, in_any_file, in_paused_file) in [
        ("std::thread::sleep(LIMIT);", true, true),
        ("    thread::sleep(Duration::from_millis(5));", true, true),
        ("tokio::time::sleep(LIMIT).await;", true, false),
        ("let late = sleep_until(moment);", true, false),
        ("x.await; sleep(LIMIT).await", true, false),
        ("use tokio::time::sleep;", false, false),
        ("stage.sleep();", false, false),
        ("fn sleep(&self) {", false, false),
        ("sessions.make_up_sleep(LIMIT)", false, false),
        ("// It calls thread::sleep(LIMIT).", false, false),
    ] {
        assert_eq!(!sleeps(line).is_empty(), in_any_file, "{line}");
        assert_eq!(!sleeps(&format!("{paused}{line}")).is_empty(), in_paused_file, "{line}");
    }
}
