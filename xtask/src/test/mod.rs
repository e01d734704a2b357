//! `cargo xtask test`: every check and every test. Nothing is skipped silently: what the machine does not have is named
//! before anything is built.

use anyhow::Result;

use crate::attack::attack;
use crate::dependencies::deny;
use crate::dist::dist;
use crate::erase::{Extent, Length, Program};
use crate::foreign::foreign;
use crate::needs::look_at_needs;
use crate::networks::{Table, networks};
use crate::publish::publish;
use crate::schemathesis::ask_built;
use crate::valgrind::valgrind;
use crate::valkey::valkey;
use crate::{cargo, cargo_with, timed};
use optimised::OptimisedChecks;

pub(crate) mod optimised;
mod workspace;

/// The parts that [`Length::Ordinary`] leaves to [`Length::Long`].
const LEFT_TO_THE_LONG_RUN: [&str; 11] = [
    "195 of 200 runs of each memory scan (cargo xtask test --long)",
    "memory scans and fault injection of the release build; these were of the profile thin (cargo xtask test --long)",
    "memory scans of a debug build without the features of tests (cargo xtask erase, or cargo xtask test --long)",
    "a handshake in every run of the simulation; one in 23 has one (cargo xtask test --long)",
    "the times of the console with 10,000 sessions (cargo xtask test --long)",
    "90 of 100 rotations of daisyway's keys (cargo xtask test --long)",
    "54 of 60 seconds of each history of machines that share a store (cargo xtask test --long)",
    "shared stores with Valkey instead of Redis (cargo xtask valkey, or cargo xtask test --long)",
    "bans, licences and sources of dependencies by cargo-deny (cargo xtask deny, or cargo xtask test --long)",
    "the packages in Debian and Ubuntu roots (cargo xtask dist --test, or cargo xtask test --long)",
    "what registries would get of crates and clients (cargo xtask publish, or cargo xtask test --long)",
];

/// The part that no run includes, because it needs a network.
const LEFT_TO_THE_NETWORK: &str =
    "advisories about dependencies, whose list is on GitHub (cargo deny check advisories)";

pub(crate) fn test(extent: &Extent) -> Result<()> {
    timed("needs", || look_at_needs(extent))?;
    let optimised = OptimisedChecks::start(&extent.arguments())?;
    timed("format and lints", || {
        cargo(&["fmt", "--all", "--check"])?;
        cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"])
    })?;
    timed("foreign clients", foreign)?;
    // The next steps use the debug build of the program that this leaves.
    let repeated = timed("cargo test", workspace::test)?;
    timed("networks", || networks(Table::Print))?;
    timed("Schemathesis", ask_built)?;
    timed("valgrind", valgrind)?;
    timed("attack", attack)?;
    if extent.length == Length::Long {
        // Next to those of the optimised build, because scans wait more than they compute.
        timed("debug build and its scans", || Program::debug()?.scan(extent))?;
    }
    let counts = timed("the rest of the checks of optimised builds", || optimised.finish())?;
    if extent.length == Length::Ordinary {
        timed("scans of the debug build", || Program::of_the_tests()?.scan(extent))?;
    }
    if extent.length == Length::Long {
        timed("simulation", simulation)?;
        timed("console with 10,000 sessions", console)?;
        timed("100 rotations of daisyway", rotations)?;
        timed("histories of a minute", histories)?;
        timed("Valkey", valkey)?;
        timed("cargo-deny", deny)?;
        timed("what registries would get", publish)?;
        timed("packages", || dist(&[]))?;
        timed("packages in Debian and Ubuntu roots", || dist(&["--test"]))?;
    }
    println!("not checked in this run; docs/testing.md has the results of the last long run:");
    not_checked(extent, counts.as_deref()).iter().for_each(|left_out| println!("- {left_out}"));
    repeated.iter().for_each(|test| println!("failed once and passed alone; find out why: {test}"));
    Ok(())
}

/// Everything that a run did not check, with the command that does. `counts` is the reason why the instruction counts were not compared.
fn not_checked(extent: &Extent, counts: Option<&str>) -> Vec<String> {
    let mut left_out: Vec<String> = match extent.length {
        Length::Long => Vec::new(),
        Length::Ordinary => LEFT_TO_THE_LONG_RUN.map(str::to_owned).to_vec(),
    };
    left_out.extend(
        extent.without.iter().map(|limit| format!("memory scans that need {limit} (--without {limit})")),
    );
    left_out
        .extend(counts.map(|why| format!("instruction counts: {why} (cargo xtask instructions --write)")));
    left_out.push(LEFT_TO_THE_NETWORK.to_owned());
    left_out
}

/// The simulation with a handshake in every run, for which it takes an optimised build.
fn simulation() -> Result<()> {
    let arguments = ["test", "--release", "--locked", "-p", "rke-raida", "--test", "simulation"];
    cargo_with(("SIM_HANDSHAKES", "all"), &arguments)
}

/// The foreign client that rotates a key each second.
fn rotations() -> Result<()> {
    let test = "etsi::foreign::daisyway_rotates_its_keys_with_both_ends_a_hundred_times";
    cargo(&["test", "--workspace", "--locked", "--test", "end_to_end", "--", "--ignored", "--exact", test])
}

/// What clients of machines that share a store see in a minute, undisturbed and disturbed.
fn histories() -> Result<()> {
    let arguments = ["test", "--workspace", "--locked", "--test", "end_to_end", "--", "shared_history::"];
    cargo_with(("RKE_HISTORY_SECONDS", "60"), &arguments)
}

/// The tests of the console that measure time. Nothing else runs meanwhile.
fn console() -> Result<()> {
    let test = "console::many::ten_thousand_sessions_are_shown_within_a_second_and_filtered_within_a_tenth";
    cargo(&["test", "--workspace", "--locked", "--test", "end_to_end", "--", "--ignored", "--exact", test])
}

#[cfg(test)]
mod tests;
