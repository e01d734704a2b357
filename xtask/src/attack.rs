//! `cargo xtask attack`: plays the adversaries of SECURITY.md against a network of its own. Each gets nothing; and each
//! gets plaintext, or an AN, once the defence that stands against it is taken away, so the attacks are real ones.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{cargo, target_dir};

/// Exit codes of `rke-attack`.
const KEPT: i32 = 0;
const BROKEN: i32 = 3;

/// The attacks, and the defences that have to go for each to succeed.
const ATTACKS: [(&str, &str); 7] = [
    ("sniffer", "no-coin-binding,no-ephemeral"),
    ("thief", "no-ephemeral"),
    ("raida", "no-coin-binding,no-ephemeral"),
    ("middle", "no-coin-binding"),
    ("raida-in-the-middle", "no-coin-binding"),
    ("impostor", "no-known-servers"),
    ("coin-thief", "known-answers"),
];

/// Two defences must both be removed: either alone keeps the secret.
const EITHER: [(&str, &str); 4] = [
    ("sniffer", "no-coin-binding"),
    ("sniffer", "no-ephemeral"),
    ("raida", "no-coin-binding"),
    ("raida", "no-ephemeral"),
];

pub(crate) fn attack() -> Result<()> {
    cargo(&["build", "--locked", "-p", "rke-attack", "--features", "fault-injection"])?;
    for (name, without) in ATTACKS {
        expect(name, "", KEPT)?;
        expect(name, without, BROKEN)?;
    }
    EITHER.into_iter().try_for_each(|(name, without)| expect(name, without, KEPT))
}

fn expect(name: &str, without: &str, code: i32) -> Result<()> {
    let program = target_dir().join("debug/rke-attack");
    let status = Command::new(program).arg(name).env("RKE_FAULT", without).status();
    let ended = status.context("cannot run rke-attack")?.code();
    let defences = if without.is_empty() { "all defences".to_owned() } else { without.to_owned() };
    let said = if code == KEPT { "got nothing" } else { "got what it wants, as it must" };
    ensure!(ended == Some(code), "{name} against {defences} ended with {ended:?} in place of {code}");
    println!("{name} against {defences}: {said}");
    Ok(())
}
