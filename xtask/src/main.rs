//! The project's own chores. `cargo xtask check` is for every change, and `cargo xtask test` runs every check and every test.

mod attack;
mod bench;
mod book;
mod check;
mod configuration;
mod debian_13;
mod dependencies;
mod dist;
mod erase;
mod foreign;
mod instructions;
mod mutants;
mod needs;
mod networks;
mod notices;
mod openapi;
mod publish;
mod recordings;
mod schemathesis;
mod screenshots;
mod test;
mod valgrind;
mod valkey;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use attack::attack;
use bench::bench;
use book::book;
use check::check;
use configuration::configuration;
use dependencies::deny;
use dist::dist;
use erase::{Extent, erase};
use foreign::foreign;
use instructions::{Counts, instructions};
use mutants::mutants;
use networks::{Table, network_row, networks};
use openapi::openapi;
use publish::publish;
use recordings::recordings;
use schemathesis::schemathesis;
use screenshots::screenshots;
use test::optimised::{COMMAND as OPTIMISED_CHECKS, NOT_COMPARED, optimised_checks};
use test::test;
use valgrind::valgrind;
use valkey::valkey;

/// Builds all tests, and with them the debug build of the program. After `cargo test` nothing is left to do, while
/// the program alone needs its libraries compiled again.
const TESTS: [&str; 4] = ["test", "--workspace", "--locked", "--no-run"];

/// The profile of Cargo.toml for what has to be optimised, but need not be what is shipped.
const THIN: &str = "thin";

/// The debug build of the program.
const DEBUG: &str = "debug/rke";

const USAGE: &str = "\
usage: cargo xtask check                   what a change is checked with: without root, in two minutes
       cargo xtask test [--long] [--without LIMIT]…
                                           run every check and every test, or in full numbers
       cargo xtask erase [--long] [--without LIMIT]…
                                           look for keys in the memory of running programs
       cargo xtask attack                  play the adversaries of SECURITY.md
       cargo xtask schemathesis            ask a daemon for all that its OpenAPI document describes
       cargo xtask foreign                 install other people's clients, which the end-to-end tests run
       cargo xtask openapi                 write docs/openapi.json again
       cargo xtask book                    write the pages of the book again
       cargo xtask configuration           write docs/configuration.md again
       cargo xtask screenshots             take pictures of the console: docs/console, target/screenshots
       cargo xtask recordings              record the program in a terminal for docs/pictures again
       cargo xtask bench [--write] [ROW]…  measure the program next to nginx and openssl
       cargo xtask valgrind                run the tests of the secret memory under valgrind
       cargo xtask valkey                  run the tests of shared stores with Valkey instead of Redis
       cargo xtask networks [--write]      open sessions in other people's networks, and write the table of docs/testing.md
       cargo xtask instructions [--write]  count the instructions of requests and packets
       cargo xtask mutants [COMMIT]        change each line that differs from main or COMMIT: unit tests must notice
       cargo xtask deny                    check licences, sources and versions of dependencies with cargo-deny
       cargo xtask dist [--profile PROFILE] [--check]
                                           make what is shipped: a tarball, a Debian package, an image; or make it twice and compare
       cargo xtask dist --test             test the packages that were made last, in Debian and Ubuntu roots
       cargo xtask publish                 make what registries would get, and send nothing
       cargo xtask notices [--write]       compare THIRD-PARTY.md with the dependencies, or write it again
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let extent = arguments.get(1..).and_then(Extent::parse);
    let result = match (&arguments[..], &extent) {
        (["check"], _) => check(),
        (["test", ..], Some(extent)) => test(extent),
        (["erase", ..], Some(extent)) => erase(extent),
        (["attack"], _) => attack(),
        (["schemathesis"], _) => schemathesis(),
        (["foreign"], _) => foreign(),
        (["openapi"], _) => openapi(),
        (["book"], _) => book(),
        (["configuration"], _) => configuration(),
        (["screenshots"], _) => screenshots(),
        (["recordings"], _) => recordings(),
        (["instructions"], _) => instructions(Counts::Compare).map(say_not_compared),
        (["instructions", "--write"], _) => instructions(Counts::Write).map(drop),
        (["networks"], _) => networks(Table::Print),
        (["networks", "--write"], _) => networks(Table::Write),
        // The command that `test` runs next to the tests.
        ([OPTIMISED_CHECKS, ..], Some(extent)) => optimised_checks(extent),
        // The command that `networks` runs in each namespace.
        (["network-row", row], _) => network_row(row),
        (["valgrind"], _) => valgrind(),
        (["valkey"], _) => valkey(),
        (["mutants"], _) => mutants(None),
        (["mutants", base], _) => mutants(Some(base)),
        (["deny"], _) => deny(),
        (["publish"], _) => publish(),
        (["notices"], _) => notices::compare(),
        (["notices", "--write"], _) => notices::write(),
        (["bench", rest @ ..], _) => bench(rest),
        (["dist", rest @ ..], _) => dist(rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn say_not_compared(why: Option<String>) {
    why.iter().for_each(|why| println!("{NOT_COMPARED}{why}"));
}

/// Does a step, and says how long it took.
fn timed<T>(step: &str, does: impl FnOnce() -> Result<T>) -> Result<T> {
    let start = Instant::now();
    let done = does();
    eprintln!("cargo xtask: {step}: {} s", start.elapsed().as_secs());
    done
}

/// Sees to it that a program is there: installs it from Debian where that is possible.
fn need(program: &str, package: &str) -> Result<()> {
    if is_there(program) {
        return Ok(());
    }
    eprintln!("cargo xtask: {program} is missing, installing {package}");
    let install = format!("apt-get update -qq && apt-get install -y -qq --no-install-recommends {package}");
    let installed = Command::new("sh").args(["-c", &install]).stdout(Stdio::null()).status();
    if installed.is_ok_and(|status| status.success()) && is_there(program) {
        return Ok(());
    }
    bail!("the tests need {program}; install it with: sudo apt-get install {package}")
}

fn is_there(program: &str) -> bool {
    let find = format!("command -v {program}");
    Command::new("sh").args(["-c", &find]).stdout(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// cargo's target folder.
fn target_dir() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    std::env::var_os("CARGO_TARGET_DIR").map_or(default, PathBuf::from)
}

fn cargo(arguments: &[&str]) -> Result<()> {
    eprintln!("cargo xtask: cargo {}", arguments.join(" "));
    let status = Command::new(env!("CARGO")).args(arguments).status().context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo {} failed", arguments.join(" "));
    }
    Ok(())
}

/// The same with a variable of the environment.
fn cargo_with(variable: (&str, &str), arguments: &[&str]) -> Result<()> {
    match cargo_in(variable, arguments).status().context("cannot run cargo")?.success() {
        true => Ok(()),
        false => bail!("{}={} cargo {} failed", variable.0, variable.1, arguments.join(" ")),
    }
}

/// The same, not yet started.
fn cargo_in((name, value): (&str, &str), arguments: &[&str]) -> Command {
    eprintln!("cargo xtask: {name}={value} cargo {}", arguments.join(" "));
    let mut command = Command::new(env!("CARGO"));
    command.args(arguments).env(name, value);
    command
}
