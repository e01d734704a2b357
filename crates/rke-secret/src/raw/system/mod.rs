//! System calls that no crate wraps safely.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::process::{Resource, Rlimit, getpid, getppid, set_parent_process_death_signal, setrlimit};
use rustix::thread::futex;

/// 1 during a standstill.
static STANDSTILL: AtomicU32 = AtomicU32::new(0);
/// The number of stopped threads.
static STANDING: AtomicU32 = AtomicU32::new(0);
/// The number of received standstill signals.
static TAKEN: AtomicU64 = AtomicU64::new(0);
/// Whether threads that use secrets receive no other signals.
static SIGNALS_BLOCKED: AtomicBool = AtomicBool::new(false);

/// Keeps writable memory from becoming executable, and executable memory from becoming writable.
pub(crate) fn refuse_exec_gain() -> io::Result<()> {
    let none = 0 as libc::c_ulong;
    let flags = libc::PR_MDWE_REFUSE_EXEC_GAIN as libc::c_ulong;
    // SAFETY: takes numbers only.
    match unsafe { libc::prctl(libc::PR_SET_MDWE, flags, none, none, none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes `signal` stop each thread that receives it during a standstill. The handler runs on the
/// thread's current stack, so the kernel writes the registers of a thread that uses a secret to the
/// scratch stack, which is wiped.
pub(crate) fn install_standstill(signal: Signal) -> io::Result<()> {
    let action =
        SigAction::new(SigHandler::Handler(on_standstill_signal), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler is async-signal-safe: it uses atomics and one direct futex system call, which leaves errno
    // alone.
    unsafe { sigaction(signal, &action) }?;
    Ok(())
}

extern "C" fn on_standstill_signal(_: libc::c_int) {
    TAKEN.fetch_add(1, Ordering::Relaxed);
    if STANDSTILL.load(Ordering::Acquire) == 0 {
        return;
    }
    STANDING.fetch_add(1, Ordering::AcqRel);
    while STANDSTILL.load(Ordering::Acquire) == 1 {
        let _ = futex::wait(&STANDSTILL, futex::Flags::PRIVATE, 1, None);
    }
    STANDING.fetch_sub(1, Ordering::AcqRel);
}

/// Notes that threads that use secrets receive no signals with handlers, except those of the standstill.
pub(crate) fn note_signals_blocked() {
    SIGNALS_BLOCKED.store(true, Ordering::Relaxed);
}

/// How many signals have left frames on stacks so far. `None` if unknown. Relaxed is enough: only the signals
/// of this thread itself matter.
pub(super) fn signals_taken() -> Option<u64> {
    SIGNALS_BLOCKED.load(Ordering::Relaxed).then(|| TAKEN.load(Ordering::Relaxed))
}

/// Begins or ends a standstill. The caller also signals the threads that are to stop.
pub(crate) fn set_standstill(on: bool) {
    STANDSTILL.store(on.into(), Ordering::Release);
    if !on {
        let _ = futex::wake(&STANDSTILL, futex::Flags::PRIVATE, i32::MAX as u32);
    }
}

/// The number of stopped threads.
pub(crate) fn standing() -> u32 {
    STANDING.load(Ordering::Acquire)
}

/// Sends `signal` to one thread of a process.
///
/// # Errors
/// The system's error; also if the thread has ended.
pub(crate) fn signal_thread(process: i32, thread: i32, signal: Signal) -> io::Result<()> {
    // SAFETY: takes numbers only.
    match unsafe { libc::tgkill(process, thread, signal as i32) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes the process of `command` start with no signal blocked.
pub(crate) fn unblock_in_child(command: &mut Command) {
    let unblock = || Ok(SigSet::empty().thread_set_mask()?);
    // SAFETY: between fork and exec it makes one system call, which is safe there, and neither locks nor allocates.
    unsafe { command.pre_exec(unblock) };
}

/// Makes the kernel kill the process of `command` when the thread that starts it ends, however that happens.
pub(crate) fn kill_child_with_parent(command: &mut Command) {
    let parent = getpid();
    let bind = move || {
        set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // The parent may have ended before that.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
    };
    // SAFETY: between fork and exec it makes two system calls, which are safe there, and neither locks nor allocates.
    unsafe { command.pre_exec(bind) };
}

/// Makes the process of `command` start with this limit of open files.
pub(crate) fn limit_files_in_child(command: &mut Command, limit: Rlimit) {
    let set = move || Ok(setrlimit(Resource::Nofile, limit)?);
    // SAFETY: between fork and exec it makes one system call, which is safe there, and neither locks nor allocates.
    unsafe { command.pre_exec(set) };
}

/// Writes a message to standard error, without a lock or an allocation.
pub(crate) fn write_stderr(message: &str) {
    // If standard error is closed, no other channel is left.
    let _ = rustix::io::write(io::stderr(), message.as_bytes());
}

/// Aborts the process, because continuing would break a promise.
pub(crate) fn abort(message: &str) -> ! {
    write_stderr(message);
    std::process::abort()
}

#[cfg(test)]
mod tests;
