//! What a process with secrets gives up at its start: core dumps, inspection by others,
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
    drop_code_pages, kill_child_with_parent, limit_files_in_child, load_no_name_services,
    note_signals_blocked, refuse_exec_gain, return_large_blocks, unblock_in_child,
};

/// The only signal that threads with secrets receive, for the standstill of [`crate::memory_scan`]. Its
/// default action is to be ignored, so it does no harm before its handler is installed.
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
    /// The current state of this process.
    pub fn now() -> Self {
        match dumpable_behavior() {
            Ok(DumpableBehavior::NotDumpable) => Self::Refused,
            _ => Self::Allowed,
        }
    }
}

/// Blocks signals on this thread and on those that it starts, so that no handler's frame keeps the
/// registers of a thread that uses a secret. Call it before any thread starts; one thread that
/// never touches a secret then waits for signals. Job control and SIGABRT still work: they have no
/// handlers, and must get none. SIGSEGV has one that ends the process. From here on a scratch stack is wiped whole only
/// after a signal of the standstill, because no other leaves a frame on it.
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
    note_signals_blocked();
    Ok(())
}

/// Makes a command start with no signal blocked. Otherwise it would inherit what [`block_signals`] has blocked, and ignore
/// even SIGTERM.
pub fn unblock_signals(command: &mut Command) {
    unblock_in_child(command);
}

/// Makes the kernel kill a command when the thread that starts it ends, however that happens. The command's own children
/// are not killed.
pub fn end_with_parent(command: &mut Command) {
    kill_child_with_parent(command);
}

/// Makes a command start with this limit of open files instead of the one of this process.
pub fn limit_open_files(command: &mut Command, limit: Rlimit) {
    limit_files_in_child(command, limit);
}

/// Makes the allocator return large freed blocks to the system, so that a long-running process does not keep unused
/// memory. Call it first.
pub fn return_freed_memory() {
    return_large_blocks();
}

/// Keeps a statically linked program from loading libraries when it looks up the name of a host or of a group: it then reads
/// `/etc/hosts`, DNS and `/etc/group` only. Call it first.
pub fn look_names_up_without_libraries() {
    load_no_name_services();
}

/// Drops the pages of code that only the start needed. Call it at the end of the start; the kernel reloads what is needed
/// later.
pub fn drop_startup_code() {
    drop_code_pages();
}

/// Hardens the process, in this order: no core files, not dumpable (which also keeps other
/// processes of the same user from reading its memory), no new privileges, no memory that turns
/// from writable to executable. Returns what this kernel does not support, for the log.
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
        // Linux before 6.3, or a processor without support.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Ok(vec!["memory that was writable may become executable (Linux 6.3 can forbid it)"])
        }
        Err(source) => Err(SecretError::System { action: "forbid executable memory", source }),
    }
}

fn failed_to(action: &'static str) -> impl FnOnce(rustix::io::Errno) -> SecretError {
    move |error| SecretError::System { action, source: io::Error::from(error) }
}
