//! Says why the process ends, where work on a secret runs off its scratch stack.

use std::io;
use std::ops::Range;
use std::sync::OnceLock;

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, raise, sigaction};

use super::system::say;

const OVERFLOW: &str = "rke: work on a secret needs more than its scratch stack has, and ran into the guard page below. \
                        The process ends. This is a bug in rke: please report it.\n";

/// The pages below the scratch stacks, in which nobody may read or write.
static GUARDS: OnceLock<Box<[Range<u64>]>> = OnceLock::new();

/// What was done about faults before: Rust tells of threads whose own stack overflows.
static BEFORE: OnceLock<SigAction> = OnceLock::new();

/// Has a fault in one of these guard pages end the process with a message. All other faults are dealt with as before.
/// The message needs the stack for signals that Rust gives each of its threads.
pub(crate) fn tell_of_overflows(guards: Box<[Range<u64>]>) -> io::Result<()> {
    if GUARDS.set(guards).is_err() {
        return Ok(());
    }
    let flags = SaFlags::SA_SIGINFO | SaFlags::SA_ONSTACK;
    let action = SigAction::new(SigHandler::SigAction(on_fault), flags, SigSet::empty());
    // SAFETY: the handler does only what a handler may: it reads what was set before, writes to standard error by a
    // call to the kernel, and changes what is done about the signal.
    let before = unsafe { sigaction(Signal::SIGSEGV, &action) }?;
    let _ = BEFORE.set(before);
    Ok(())
}

extern "C" fn on_fault(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel describes the signal to a handler that wants it to.
    let fault = unsafe { &*info };
    if fault.si_code <= 0 {
        // Another process has sent it. It would be passed over if this returned as after a fault.
        leave_to_kernel();
        let _ = raise(Signal::SIGSEGV);
        return;
    }
    // SAFETY: the kernel fills in the address for all faults.
    let address = unsafe { fault.si_addr() } as u64;
    if GUARDS.get().is_some_and(|guards| guards.iter().any(|guard| guard.contains(&address))) {
        say(OVERFLOW);
        // The access is done again when this returns.
        return leave_to_kernel();
    }
    match BEFORE.get().map(SigAction::handler) {
        Some(SigHandler::SigAction(before)) => before(signal, info, context),
        Some(SigHandler::Handler(before)) => before(signal),
        _ => leave_to_kernel(),
    }
}

/// Has the kernel end the process by the next fault.
fn leave_to_kernel() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no handler is installed.
    let _ = unsafe { sigaction(Signal::SIGSEGV, &default) };
}
