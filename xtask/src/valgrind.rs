//! `cargo xtask valgrind`: the tests of `rke-secret` under valgrind, which detects each access to unmapped memory, and each
//! branch on uninitialised memory.
//!
//! Valgrind has no memfd_secret, so secrets are in locked memory, and its processor has no AVX-512, so those registers
//! are not wiped. Left out are loom's model, and a panic on a scratch stack and unscoped work, whose changes of stacks
//! valgrind cannot follow. Processes that abort or scan their own memory, and valgrind's with it, are left out too
//! (`tests/misuse.rs`).

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::{TESTS, need};

/// Tells valgrind about scratch stacks: a step of the stack pointer that is longer than any frame leads to another stack.
/// 99 is the exit code after an error.
const OPTIONS: [&str; 5] = [
    "--quiet",
    "--leak-check=no",
    "--error-exitcode=99",
    "--max-stackframe=65536",
    concat!("--suppressions=", env!("CARGO_MANIFEST_DIR"), "/../crates/rke-secret/valgrind.supp"),
];

/// For the tests themselves.
const LEFT_OUT: [&str; 7] =
    ["--test-threads=1", "--skip", "raw::model", "--skip", "a_panic_in_a_scope", "--skip", "unscoped_work"];

pub(crate) fn valgrind() -> Result<()> {
    need("valgrind", "valgrind")?;
    let program = test_program()?;
    eprintln!("cargo xtask: valgrind {program}");
    let mut command = Command::new("valgrind");
    let status =
        command.args(OPTIONS).arg(&program).args(LEFT_OUT).status().context("cannot run valgrind")?;
    ensure!(status.success(), "the tests of rke-secret fail under valgrind");
    Ok(())
}

/// The unit tests of `rke-secret`, as built by `cargo xtask test`.
fn test_program() -> Result<String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(TESTS).stdout(Stdio::inherit());
    let output = command.output().context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the tests cannot be built: {said}");
    let path = said.lines().find_map(|line| {
        let (_, path) = line.split_once('(')?;
        path.strip_suffix(')').filter(|path| path.contains("deps/rke_secret-"))
    });
    Ok(path.context("cargo does not say where the tests of rke-secret are")?.to_owned())
}
