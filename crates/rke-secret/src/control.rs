//! Rules of the house that a test build can break one at a time, named in `RKE_CONTROL`, to show
//! that the scanner finds what each of them is for. No shipped program has this module.

use std::sync::OnceLock;

/// One rule, broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Registers are not wiped after an operation.
    KeepRegisters,
    /// Scratch stacks are not wiped after an operation.
    KeepStack,
    /// Giving up a secret does not wait for the operations that use it.
    Unserialised,
    /// No rule broken, but each operation on a session's key takes long, as with `Unserialised`.
    SlowOperation,
    /// Session keys also lie in a map of `Zeroizing` values.
    ZeroizingMap,
}

/// Whether a control is on.
pub fn is_on(control: Control) -> bool {
    static CHOSEN: OnceLock<Option<Control>> = OnceLock::new();
    let chosen = CHOSEN.get_or_init(|| match std::env::var("RKE_CONTROL").as_deref() {
        Ok("keep-registers") => Some(Control::KeepRegisters),
        Ok("keep-stack") => Some(Control::KeepStack),
        Ok("unserialised") => Some(Control::Unserialised),
        Ok("slow-operation") => Some(Control::SlowOperation),
        Ok("zeroizing-map") => Some(Control::ZeroizingMap),
        _ => None,
    });
    *chosen == Some(control)
}
