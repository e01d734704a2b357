//! Prints why the process ends when work on a secret overflows its scratch stack.

use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

use super::system::write_stderr;

const OVERFLOW: &str = "rke: work on a secret needs more than its scratch stack has, and ran into the guard page below. \
                        The process ends. This is a bug in rke: please report it.\n";

/// The guard pages below the scratch stacks.
static GUARDS: OnceLock<Box<[Range<u64>]>> = OnceLock::new();

/// The action for faults before: Rust reports threads whose own stack overflows.
static BEFORE: OnceLock<SigAction> = OnceLock::new();

/// Makes a fault in one of these guard pages end the process with a message. All other faults keep their action.
/// The handler runs on the signal stack that Rust gives each of its threads.
pub(crate) fn report_overflows(guards: Box<[Range<u64>]>) -> io::Result<()> {
    if GUARDS.set(guards).is_err() {
        return Ok(());
    }
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(on_fault), flags, SigSet::empty());
    // SAFETY: the handler is async-signal-safe: it reads what was set before, writes to standard error by a system call,
    // and changes the action for the signal.
    let before = unsafe { sigaction(Signal::SIGSEGV, &action) }?;
    let _ = BEFORE.set(before);
    Ok(())
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel describes the signal to a handler that wants it to.
    let fault = unsafe { &*info };
    if fault.si_code <= 0 {
        // A process has sent the signal. Returning would ignore it, because no access faults again.
        restore_default_action();
        let _ = raise(Signal::SIGSEGV);
        return;
    }
    // SAFETY: the kernel fills in the address for all faults.
    let address = unsafe { fault.si_addr() } as u64;
    if GUARDS.get().is_some_and(|guards| guards.iter().any(|guard| guard.contains(&address))) {
        write_stderr(OVERFLOW);
        // The access is repeated when this returns.
        return restore_default_action();
    }
    match BEFORE.get().map(SigAction::handler) {
        Some(SigHandler::SigAction(before)) => before(signal, info, context),
        Some(SigHandler::Handler(before)) => before(signal),
        _ => restore_default_action(),
    }
}

/// Makes the next fault end the process.
fn restore_default_action() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed.
    let _ = unsafe { sigaction(Signal::SIGSEGV, &default) };
}
