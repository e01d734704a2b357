//! The two calls to the system that no crate wraps: a thread's registers, and a signal to one thread
//! of another process. Test-only code, in no shipped program.
#![allow(unsafe_code)]

use std::io;

use nix::unistd::Pid;

/// The sets of registers that a stopped thread has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registers {
    /// General registers.
    General = 1,
    /// Everything that XSAVE saves: SSE, AVX, AVX-512. x86_64 only.
    Extended = 0x202,
}

/// The bytes of a register set of a thread that this thread traces and that is stopped.
pub(crate) fn read_registers(thread: Pid, registers: Registers, buffer: &mut [u8]) -> io::Result<usize> {
    let mut area = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: the kernel writes at most `iov_len` bytes to the buffer, and the length to `area`.
    let result = unsafe {
        libc::ptrace(libc::PTRACE_GETREGSET, thread.as_raw(), registers as libc::c_long, &raw mut area)
    };
    match result {
        0 => Ok(area.iov_len),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends a signal to one thread of a process.
pub(crate) fn signal_thread(process: i32, thread: i32, signal: i32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    match unsafe { libc::tgkill(process, thread, signal) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
