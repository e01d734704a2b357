//! Faults that a test build injects, named in `RKE_FAULT` and separated by commas. Each breaks one rule, so that a scan
//! or an attack shows what the rule is for. No shipped program has this module.

use std::sync::OnceLock;

/// One broken rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Registers are not wiped after an operation.
    KeepRegisters,
    /// Scratch stacks are not wiped after an operation.
    KeepStack,
    /// Breaks no rule, but fills each scratch stack with paint when an operation begins. A copy of bytes that the
    /// operation has not written then shows.
    Paint,
    /// Giving up a secret does not wait for the operations that use it.
    Unserialised,
    /// Breaks no rule, but makes each operation on a session's key slow, as `Unserialised` does.
    SlowOperation,
    /// Session keys also lie in a map of `Zeroizing` values.
    ZeroizingMap,
    /// Responses that hold a key are not wiped.
    KeepResponses,
    /// Wide shares are the same for all coins.
    NoCoinBinding,
    /// A session's key does not depend on the ephemeral key exchange.
    NoEphemeral,
    /// A known domain may present another Content Server ID.
    NoKnownServers,
    /// The form of a RAIDA's responses in envelope 1 is found by a request whose response everybody knows.
    KnownAnswers,
}

/// Whether `RKE_FAULT` names this fault.
pub fn is_injected(fault: Fault) -> bool {
    static CHOSEN: OnceLock<Vec<Fault>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| {
        let names = std::env::var("RKE_FAULT").unwrap_or_default();
        names.split(',').filter_map(named).collect()
    });
    chosen.contains(&fault)
}

fn named(name: &str) -> Option<Fault> {
    Some(match name {
        "keep-registers" => Fault::KeepRegisters,
        "keep-stack" => Fault::KeepStack,
        "paint" => Fault::Paint,
        "unserialised" => Fault::Unserialised,
        "slow-operation" => Fault::SlowOperation,
        "zeroizing-map" => Fault::ZeroizingMap,
        "keep-responses" => Fault::KeepResponses,
        "no-coin-binding" => Fault::NoCoinBinding,
        "no-ephemeral" => Fault::NoEphemeral,
        "no-known-servers" => Fault::NoKnownServers,
        "known-answers" => Fault::KnownAnswers,
        _ => return None,
    })
}
