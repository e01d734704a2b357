//! What a scanner does to another process: reads a thread's registers, signals a thread, pages memory
//! out. Only in test builds (feature `trace`), here because it needs `unsafe`.

use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use nix::sys::signal::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// The register sets of a stopped thread, by the kernel's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registers {
    /// General registers.
    General = 1,
    /// SSE, AVX and AVX-512: all that XSAVE saves. x86_64 only.
    Extended = 0x202,
    /// Vector registers. aarch64 only.
    Vector = 2,
}

/// The bytes of a register set of a stopped thread that this thread traces.
///
/// # Errors
/// The system's error.
pub fn read_registers(thread: i32, registers: Registers, buffer: &mut [u8]) -> io::Result<usize> {
    let mut area = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    let set = registers as libc::c_long;
    // SAFETY: the kernel writes at most `iov_len` bytes to the buffer, and the length to `area`.
    let result = unsafe { libc::ptrace(libc::PTRACE_GETREGSET, thread, set, &raw mut area) };
    if result == 0 { Ok(area.iov_len) } else { Err(io::Error::last_os_error()) }
}

/// Sends a signal to one thread of a process.
///
/// # Errors
/// The system's error; also if the thread has ended.
pub fn signal_thread(process: i32, thread: i32, signal: Signal) -> io::Result<()> {
    super::system::signal_thread(process, thread, signal)
}

/// Makes the kernel write these parts of a process's memory to swap, if it can.
///
/// # Errors
/// The system's error about the process; errors about single ranges are ignored.
pub fn page_out(process: i32, ranges: &[Range<u64>]) -> io::Result<()> {
    let process = Pid::from_raw(process).ok_or(io::ErrorKind::InvalidInput)?;
    let process = pidfd_open(process, PidfdFlags::empty())?;
    for range in ranges {
        let len = (range.end - range.start) as usize;
        let area = libc::iovec { iov_base: range.start as *mut libc::c_void, iov_len: len };
        let (call, advice) = (libc::SYS_process_madvise, libc::MADV_PAGEOUT);
        // SAFETY: the range is one of the other process, whose memory keeps its contents.
        unsafe { libc::syscall(call, process.as_raw_fd(), &raw const area, 1, advice, 0) };
    }
    Ok(())
}
