//! What a process that holds secrets gives up at its start: core dumps, being looked at by others,
//! new privileges, memory that becomes code, and signals on the threads that touch keys.

use std::io;
use std::process::Command;

use nix::sys::signal::{SigSet, Signal};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, dumpable_behavior, set_dumpable_behavior, setrlimit,
};
use rustix::thread::set_no_new_privs;

use crate::SecretError;
use crate::raw::{
    give_back_large_blocks, kill_child_with_parent, let_code_go, limit_files_in_child, others_are_blocked,
    refuse_exec_gain, unblock_in_child,
};

/// The one signal that threads with secrets take, for the standstill of [`crate::residue`]. Its
/// default is to be ignored, so it harms nobody before that is set up.
pub(crate) const STANDSTILL_SIGNAL: Signal = Signal::SIGURG;

/// How much of a process debuggers and core dumps may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inspection {
    /// Nothing.
    #[default]
    Refused,
    /// Everything. For debugging only: keys can be read from outside.
    Allowed,
}

impl Inspection {
    /// What holds for this process now.
    pub fn now() -> Self {
        match dumpable_behavior() {
            Ok(DumpableBehavior::NotDumpable) => Self::Refused,
            _ => Self::Allowed,
        }
    }
}

/// Blocks signals on this thread and on those that it starts, so that no handler's frame keeps the
/// registers of a thread that uses a secret. To be called before any thread starts; one thread that
/// never touches a secret then waits for signals. Job control and SIGABRT go on working: they have no
/// handlers, and must get none. SIGSEGV has one that ends the process. From here on scratch stacks are not wiped of signals' frames that could come
/// otherwise.
///
/// # Errors
/// [`SecretError::System`].
pub fn block_signals() -> Result<(), SecretError> {
    let mut blocked = SigSet::all();
    let let_through = [
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGCONT,
        Signal::SIGABRT,
        Signal::SIGSEGV,
    ];
    let_through.into_iter().chain([STANDSTILL_SIGNAL]).for_each(|signal| blocked.remove(signal));
    let failed = |error: nix::Error| SecretError::System { action: "block signals", source: error.into() };
    blocked.thread_block().map_err(failed)?;
    others_are_blocked();
    Ok(())
}

/// Makes a command start with no signal blocked: it would inherit what [`block_signals`] has blocked, and not even end
/// at SIGTERM.
pub fn unblock_signals(command: &mut Command) {
    unblock_in_child(command);
}

/// Has a command killed when the thread that starts it ends, also where nobody is left to kill it. What it has started
/// itself is not.
pub fn end_with_parent(command: &mut Command) {
    kill_child_with_parent(command);
}

/// Has a command start with this limit of open files, where this process has another one.
pub fn limit_open_files(command: &mut Command, limit: Rlimit) {
    limit_files_in_child(command, limit);
}

/// Keeps a process that runs for long from holding memory that it does not use. To be called first: large blocks of
/// ordinary memory are the system's again when they are freed.
pub fn begin_small() {
    give_back_large_blocks();
}

/// The same at the end of its start: code that only the start needed leaves memory. What is needed later comes back by
/// itself.
pub fn started() {
    let_code_go();
}

/// Hardens the process, in this order: no core files, not dumpable (which also keeps other
/// processes of the same user from reading its memory), no new privileges, no memory that turns
/// from writable to executable. Gives what this kernel does not know, for the log.
///
/// # Errors
/// [`SecretError::System`].
pub fn harden(inspection: Inspection) -> Result<Vec<&'static str>, SecretError> {
    if inspection == Inspection::Refused {
        let none = Rlimit { current: Some(0), maximum: Some(0) };
        setrlimit(Resource::Core, none).map_err(failed_to("forbid core dumps"))?;
        let behavior = DumpableBehavior::NotDumpable;
        set_dumpable_behavior(behavior).map_err(failed_to("make the process undumpable"))?;
    }
    set_no_new_privs(true).map_err(failed_to("give up new privileges"))?;
    match refuse_exec_gain() {
        Ok(()) => Ok(Vec::new()),
        // Linux before 6.3, or a processor that cannot.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Ok(vec!["memory that was writable may become executable (Linux 6.3 can forbid it)"])
        }
        Err(source) => Err(SecretError::System { action: "forbid executable memory", source }),
    }
}

fn failed_to(action: &'static str) -> impl FnOnce(rustix::io::Errno) -> SecretError {
    move |error| SecretError::System { action, source: io::Error::from(error) }
}
