//! Rules of the house that a test build can break, named in `RKE_CONTROL` with commas between, to show
//! what each of them is for. No shipped program has this module.

use std::sync::OnceLock;

/// One rule, broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Registers are not wiped after an operation.
    KeepRegisters,
    /// Scratch stacks are not wiped after an operation.
    KeepStack,
    /// No rule broken, but scratch stacks are full of paint when an operation begins: what is copied from where
    /// nothing was written shows.
    Paint,
    /// Giving up a secret does not wait for the operations that use it.
    Unserialised,
    /// No rule broken, but each operation on a session's key takes long, as with `Unserialised`.
    SlowOperation,
    /// Session keys also lie in a map of `Zeroizing` values.
    ZeroizingMap,
    /// Wide shares are the same for everybody's coins.
    NoCoinBinding,
    /// Nothing of the ephemeral key exchange goes into a session's key.
    NoEphemeral,
    /// The Content Server ID that a domain had before is not held against it.
    NoKnownServers,
    /// The form of a RAIDA's answers in envelope 1 is found by a request whose answer everybody knows.
    KnownAnswers,
}

/// Whether a control is on.
pub fn is_on(control: Control) -> bool {
    static CHOSEN: OnceLock<Vec<Control>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let names = std::env::var("RKE_CONTROL").unwrap_or_default();
        names.split(',').filter_map(named).collect()
    });
    chosen.contains(&control)
}

fn named(name: &str) -> Option<Control> {
    Some(match name {
        "keep-registers" => Control::KeepRegisters,
        "keep-stack" => Control::KeepStack,
        "paint" => Control::Paint,
        "unserialised" => Control::Unserialised,
        "slow-operation" => Control::SlowOperation,
        "zeroizing-map" => Control::ZeroizingMap,
        "no-coin-binding" => Control::NoCoinBinding,
        "no-ephemeral" => Control::NoEphemeral,
        "no-known-servers" => Control::NoKnownServers,
        "known-answers" => Control::KnownAnswers,
        _ => return None,
    })
}
