//! `cargo xtask instructions`: counts the instructions that requests and packets take, and compares them with
//! what they took before. Unlike time, that is the same on a machine that is busy.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::{THIN, cargo, need, target_dir};

/// How much a count may differ from the one that was noted.
const MOST_DIFFERENCE: f64 = 0.03;

/// The start of a line of counts.txt that names a tool.
const TOOL: &str = "# ";

/// Everything is done so often.
const TIMES: u64 = 2000;

/// The use of the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counts {
    Compare,
    Write,
}

/// Counts, and compares with the reference counts or writes them. Returns the reason if the counts cannot be compared.
pub(crate) fn instructions(what: Counts) -> Result<Option<String>> {
    need("valgrind", "valgrind")?;
    // By itself, because its daemon has the benches' made-up sessions.
    cargo(&["build", "--profile", THIN, "--locked", "-p", "rke-instructions"])?;
    let program = target_dir().join(THIN).join("rke-instructions");
    let output = Command::new(&program).arg("list").output().context("cannot run rke-instructions")?;
    let names = String::from_utf8_lossy(&output.stdout).into_owned();
    let counts = names.lines().map(|name| Ok((count(&program, name)?, name)));
    let counts: Vec<(u64, &str)> = counts.collect::<Result<_>>()?;
    let tools = [version("rustc")?, version("valgrind")?];
    match what {
        Counts::Compare => {
            let noted = std::fs::read_to_string(noted_in()).context("cannot read the counts")?;
            compare(&noted, &tools, &counts)
        }
        Counts::Write => {
            let mut text: String = tools.iter().map(|tool| format!("{TOOL}{tool}\n")).collect();
            for (count, name) in &counts {
                let _ = writeln!(text, "{count} {name}");
            }
            std::fs::write(noted_in(), text).context("cannot write the counts")?;
            Ok(None)
        }
    }
}

/// The version that a program prints.
fn version(program: &str) -> Result<String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The file with the reference counts.
fn noted_in() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/rke-instructions/counts.txt")
}

/// Another compiler makes other instructions, and another valgrind emulates another processor: counts then differ for no fault of
/// the code. Returns this as the reason.
fn compare(noted: &str, tools: &[String], counts: &[(u64, &str)]) -> Result<Option<String>> {
    let mut different = 0;
    for (count, name) in counts {
        let line = noted.lines().find_map(|line| line.split_once(' ').filter(|(_, of)| of == name));
        let Some((before, _)) = line else { bail!("counts.txt has no count of: {name}") };
        let before: u64 = before.parse().with_context(|| format!("counts.txt: {before}"))?;
        let change = *count as f64 / before as f64 - 1.0;
        println!("{name}: {count} instructions, {:+.1} %", change * 100.0);
        different += usize::from(change.abs() > MOST_DIFFERENCE);
    }
    let noted_tools: Vec<&str> = noted.lines().filter_map(|line| line.strip_prefix(TOOL)).collect();
    if noted_tools != tools {
        let (noted_tools, tools) = (noted_tools.join(" and "), tools.join(" and "));
        return Ok(Some(format!("counts.txt is of {noted_tools}, and this machine has {tools}")));
    }
    ensure!(
        different == 0,
        "{different} counts differ by more than {:.0} %; where that is meant: cargo xtask instructions --write",
        MOST_DIFFERENCE * 100.0
    );
    Ok(None)
}

/// Instructions for doing it once: those of `rke-instructions` inside of its function `measured`.
fn count(program: &Path, name: &str) -> Result<u64> {
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measured*"])
        .arg(program);
    let output = command.args([name, &TIMES.to_string()]).output().context("cannot run valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{name}: {said}");
    let count = said.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse::<u64>().ok());
    // Nothing is collected where the function has another name.
    let count = count.filter(|count| *count > 0);
    Ok(count.with_context(|| format!("valgrind counted nothing: {said}"))? / TIMES)
}

#[cfg(test)]
mod tests;
