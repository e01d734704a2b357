//! Calls to the system that no crate wraps safely.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rustix::process::{Resource, Rlimit, getpid, getppid, set_parent_process_death_signal, setrlimit};
use rustix::thread::futex;

/// 1 while threads are to stand still.
static STANDSTILL: AtomicU32 = AtomicU32::new(0);
/// Threads that stand still.
static STANDING: AtomicU32 = AtomicU32::new(0);
/// Signals of the standstill that threads have taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);
/// Whether threads that use secrets take no others.
static OTHERS_BLOCKED: AtomicBool = AtomicBool::new(false);

/// Memory that was writable shall never become executable, nor the other way round.
pub(crate) fn refuse_exec_gain() -> io::Result<()> {
    let none = 0 as libc::c_ulong;
    let flags = libc::PR_MDWE_REFUSE_EXEC_GAIN as libc::c_ulong;
    // SAFETY: takes numbers only.
    match unsafe { libc::prctl(libc::PR_SET_MDWE, flags, none, none, none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Makes `signal` stop each thread that gets it while a standstill is on. The handler runs on the
/// thread's own stack, so the kernel writes the registers of a thread that uses a secret to the
/// scratch stack, which is wiped.
pub(crate) fn install_standstill(signal: Signal) -> io::Result<()> {
    let action = SigAction::new(SigHandler::Handler(stand_still), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler does only what a handler may: atomics and one futex call, which goes to
    // the kernel directly and leaves errno alone.
    unsafe { sigaction(signal, &action) }?;
    Ok(())
}

extern "C" fn stand_still(_: libc::c_int) {
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

/// Says that threads that use secrets take no signals that have handlers, but those of the standstill.
pub(crate) fn others_are_blocked() {
    OTHERS_BLOCKED.store(true, Ordering::Relaxed);
}

/// How many signals have left frames on stacks so far. `None` where that is not known. Relaxed is enough: what
/// counts is what this thread itself has taken.
pub(super) fn signals_taken() -> Option<u64> {
    OTHERS_BLOCKED.load(Ordering::Relaxed).then(|| TAKEN.load(Ordering::Relaxed))
}

/// Begins or ends a standstill; who is to stand still gets the signal besides.
pub(crate) fn set_standstill(on: bool) {
    STANDSTILL.store(on.into(), Ordering::Release);
    if !on {
        let _ = futex::wake(&STANDSTILL, futex::Flags::PRIVATE, i32::MAX as u32);
    }
}

/// How many threads stand still.
pub(crate) fn standing() -> u32 {
    STANDING.load(Ordering::Acquire)
}

/// Sends `signal` to one thread of a process.
///
/// # Errors
/// What the system said; a thread that has ended is an error.
pub(crate) fn signal_thread(process: i32, thread: i32, signal: Signal) -> io::Result<()> {
    // SAFETY: takes numbers only.
    match unsafe { libc::tgkill(process, thread, signal as i32) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Has the process of `command` block no signal when its program begins.
pub(crate) fn unblock_in_child(command: &mut Command) {
    let unblock = || Ok(SigSet::empty().thread_set_mask()?);
    // SAFETY: between fork and exec it makes one system call, which is safe there, and takes no lock and no memory.
    unsafe { command.pre_exec(unblock) };
}

/// Has the process of `command` killed when the thread that starts it ends, however that happens.
pub(crate) fn kill_child_with_parent(command: &mut Command) {
    let parent = getpid();
    let bind = move || {
        set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        // The parent may have ended before that.
        if getppid() == Some(parent) { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
    };
    // SAFETY: between fork and exec it makes two system calls, which are safe there, and takes no lock and no memory.
    unsafe { command.pre_exec(bind) };
}

/// Has the process of `command` begin with this limit of open files.
pub(crate) fn limit_files_in_child(command: &mut Command, limit: Rlimit) {
    let set = move || Ok(setrlimit(Resource::Nofile, limit)?);
    // SAFETY: between fork and exec it makes one system call, which is safe there, and takes no lock and no memory.
    unsafe { command.pre_exec(set) };
}

/// Writes a message to standard error, without a lock and without memory of the heap.
pub(crate) fn say(message: &str) {
    // Where nobody can hear it there is nothing else to do.
    let _ = rustix::io::write(io::stderr(), message.as_bytes());
}

/// Ends the process, because to go on would break a promise.
pub(crate) fn abort(message: &str) -> ! {
    say(message);
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::ptr::null_mut;

    use rustix::mm::{MapFlags, MprotectFlags, ProtFlags, mmap_anonymous, mprotect};
    use rustix::param::page_size;

    use crate::process::{Inspection, harden};

    /// Whether memory that was writable may become executable in this process.
    fn may_become_executable() -> bool {
        let (flags, len) = (ProtFlags::READ | ProtFlags::WRITE, page_size());
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let page = unsafe { mmap_anonymous(null_mut(), len, flags, MapFlags::PRIVATE) }.expect("a page");
        // SAFETY: the page that was just mapped, to which there is no reference.
        unsafe { mprotect(page, len, MprotectFlags::READ | MprotectFlags::EXEC) }.is_ok()
    }

    /// Not a test: what the other process does.
    #[test]
    #[ignore = "the process that another test starts"]
    fn hardens_itself() {
        let before = may_become_executable();
        let missing = harden(Inspection::Refused).expect("hardened");
        let is_known = missing.is_empty();
        assert!(!is_known || (before && !may_become_executable()), "memory became executable");
        assert!(is_known || may_become_executable(), "it says that something is missing");
    }

    #[test]
    fn a_hardened_process_makes_no_memory_executable() {
        let mut own = Command::new(std::env::current_exe().expect("this program"));
        let own = own.args(["--exact", "raw::system::tests::hardens_itself", "--ignored"]);
        let done = own.output().expect("it runs");
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
    }
}
