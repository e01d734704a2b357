//! `cargo xtask test`: every check and every test. Nothing is skipped silently: what the machine does not have is named
//! before anything is built.

use anyhow::Result;

use crate::attack::attack;
use crate::dependencies::deny;
use crate::erase::{Controls, Extent, Length, Programs};
use crate::instructions::{Counts, instructions};
use crate::needs::look_at_needs;
use crate::networks::{Table, networks};
use crate::schemathesis::ask_built;
use crate::valgrind::valgrind;
use crate::{cargo, cargo_with, timed, while_waiting};

/// What [`Length::Ordinary`] leaves to [`Length::Long`].
const LEFT_OUT: &str = "\
left to `cargo xtask test --long`: 200 runs of each memory scan in place of 20, a handshake in every run of the
simulation in place of a sample, and cargo-deny; docs/testing.md has what the last long run gave
";

pub(crate) fn test(extent: &Extent) -> Result<()> {
    timed("needs", || look_at_needs(extent))?;
    timed("format and lints", || {
        cargo(&["fmt", "--all", "--check"])?;
        cargo(&["clippy", "--workspace", "--all-targets", "--locked", "--", "--deny", "warnings"])
    })?;
    // This leaves the debug build of the program, of which what follows makes use.
    timed("cargo test", || cargo(&["test", "--workspace", "--locked"]))?;
    timed("networks", || networks(Table::Print))?;
    timed("valgrind", valgrind)?;
    timed("attack", attack)?;
    scan_and_count(extent)?;
    match extent.length {
        Length::Long => {
            timed("simulation", simulation)?;
            timed("cargo-deny", deny)?;
        }
        Length::Ordinary => print!("{LEFT_OUT}"),
    }
    Ok(())
}

/// Most steps of a release build take one core only, so there is something else to do beside each. Scanning and
/// counting need no quiet machine.
fn scan_and_count(extent: &Extent) -> Result<()> {
    let programs =
        timed("release build, Schemathesis beside it", || while_waiting(Programs::build, ask_built))?;
    let controls = timed("build of the controls, debug scans beside it", || {
        while_waiting(Controls::build, || programs.scan_debug(extent))
    })?;
    timed("instruction counts, other scans beside them", || {
        while_waiting(
            || instructions(Counts::Compare),
            || {
                controls.scan(extent.length)?;
                programs.scan_release(extent)
            },
        )
    })
}

/// The simulation with a handshake in every run, for which it takes an optimised build.
fn simulation() -> Result<()> {
    let arguments = ["test", "--release", "--locked", "-p", "rke-raida", "--test", "simulation"];
    cargo_with(("SIM_HANDSHAKES", "all"), &arguments)
}
