//! `cargo xtask valgrind`: the tests of `rke-secret` under valgrind, which sees each access to memory that is not
//! there, and each decision on memory that nobody has filled.
//!
//! Valgrind has no memfd_secret, so secrets are in locked memory there, and its processor has no AVX-512, so those
//! registers are not wiped. Left out are loom's model, a panic on a scratch stack, which is told on yet another one, and work
//! that is set apart from a scope: valgrind cannot follow how they change stacks. So are the processes that are meant to end, or to be looked through
//! and valgrind with them (`tests/misuse.rs`).

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::need;

/// How valgrind is to take what is special about scratch stacks: a step of the stack pointer that is longer than any frame
/// leads to another stack. 99 is what it leaves when it has found something.
const OPTIONS: [&str; 5] = [
    "--quiet",
    "--leak-check=no",
    "--error-exitcode=99",
    "--max-stackframe=65536",
    concat!("--suppressions=", env!("CARGO_MANIFEST_DIR"), "/../crates/rke-secret/valgrind.supp"),
];

/// For the tests themselves.
const LEFT_OUT: [&str; 7] = [
    "--test-threads=1",
    "--skip",
    "raw::model",
    "--skip",
    "a_panic_in_a_scope",
    "--skip",
    "what_is_set_apart",
];

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

/// The unit tests of `rke-secret`, as `cargo xtask test` has built them.
fn test_program() -> Result<String> {
    let mut command = Command::new(env!("CARGO"));
    command.args(["test", "--workspace", "--locked", "--no-run"]).stdout(Stdio::inherit());
    let output = command.output().context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "the tests cannot be built: {said}");
    let path = said.lines().find_map(|line| {
        let (_, path) = line.split_once('(')?;
        path.strip_suffix(')').filter(|path| path.contains("deps/rke_secret-"))
    });
    Ok(path.context("cargo does not say where the tests of rke-secret are")?.to_owned())
}
