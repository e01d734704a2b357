//! `cargo test` of the whole workspace. A test that fails is run once more, alone: many of them drive browsers, daemons, stores and
//! 25 servers on two processors, and a run of 40 minutes should not end at one lost click. What failed and then passed is reported at
//! the end of the run, and is a fault to be found.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::cargo_in;

/// More failures than this are no accident.
const FEW: usize = 3;

/// The tests wait for processes and servers more than they compute, so there are twice as many at a time as processors.
const THREADS: (&str, &str) = ("RUST_TEST_THREADS", "4");

/// Runs every test. Returns the names of those that failed and then passed alone.
pub(super) fn test() -> Result<BTreeSet<String>> {
    let first = run(THREADS, &["--no-fail-fast"])?;
    if first.all_passed {
        return Ok(BTreeSet::new());
    }
    if first.unfinished > 0 {
        bail!("a test program ended before its tests did; its last lines above say why");
    }
    if !(1..=FEW).contains(&first.failed.len()) {
        bail!("cargo test failed");
    }
    let names: Vec<&str> = first.failed.iter().map(String::as_str).collect();
    eprintln!("cargo xtask: once more, alone: {}", names.join(", "));
    let targets = ["--lib", "--bins", "--tests", "--", "--exact"];
    let second = run(("RUST_TEST_THREADS", "1"), &[&targets, &names[..]].concat())?;
    // An example in a comment has another name there, and is not run again.
    if !second.all_passed || second.unfinished > 0 || !first.failed.is_subset(&second.passed) {
        bail!("these tests failed: {}", names.join(", "));
    }
    Ok(first.failed)
}

/// What a run of tests printed.
#[derive(Default)]
pub(super) struct Outcome {
    all_passed: bool,
    pub(super) passed: BTreeSet<String>,
    pub(super) failed: BTreeSet<String>,
    /// Test programs that said how many tests they would run and then did not say how those ended, as one that was killed.
    pub(super) unfinished: usize,
}

impl Outcome {
    /// Shows the output, line by line, and reads it.
    pub(super) fn read(output: impl Read) -> Result<Self> {
        let mut outcome = Self::default();
        for line in BufReader::new(output).lines() {
            let line = line.context("cannot read what cargo test prints")?;
            println!("{line}");
            outcome.take(&line);
        }
        Ok(outcome)
    }

    fn take(&mut self, line: &str) {
        if line.starts_with("running ") && (line.ends_with(" tests") || line.ends_with(" test")) {
            self.unfinished += 1;
        } else if line.starts_with("test result: ") {
            self.unfinished = self.unfinished.saturating_sub(1);
        }
        let Some(test) = line.strip_prefix("test ") else { return };
        match test.rsplit_once(" ... ") {
            Some((name, "ok")) => self.passed.insert(name.to_owned()),
            Some((name, "FAILED")) => self.failed.insert(name.to_owned()),
            _ => return,
        };
    }
}

fn run(threads: (&str, &str), arguments: &[&str]) -> Result<Outcome> {
    let arguments = [&["test", "--workspace", "--locked"], arguments].concat();
    let mut child =
        cargo_in(threads, &arguments).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let mut outcome = Outcome::read(child.stdout.take().context("cargo has no output")?)?;
    outcome.all_passed = child.wait().context("cannot wait for cargo")?.success();
    Ok(outcome)
}
