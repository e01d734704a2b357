//! A mapping of secret memory: memfd_secret if the kernel has it, else anonymous memory that is
//! locked, left out of core dumps and wiped on fork. A guard page precedes and follows it.

use std::io;
use std::ops::Range;
use std::ptr::{NonNull, null_mut};

use rustix::fd::{AsFd, FromRawFd, OwnedFd};
use rustix::fs::ftruncate;
use rustix::mm::{self, Advice, MapFlags, MprotectFlags, ProtFlags};
use rustix::param::page_size;
use zeroize::Zeroize;

/// The kind of memory behind a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// memfd_secret: not even root can read it from outside, and it is never swapped or dumped.
    Secretmem,
    /// Anonymous, locked, not dumped, wiped on fork. Root can read it.
    Locked,
}

/// Secret memory that belongs to one value, zero when it is made. Dropping it wipes and unmaps it.
pub(crate) struct Map {
    pages: Pages,
}

/// A mapped range with its two guard pages: `base` is where the usable part begins.
struct Pages {
    base: NonNull<u8>,
    len: usize,
}

// SAFETY: the memory belongs to this value alone and is reached by the borrowing rules.
unsafe impl Send for Pages {}
// SAFETY: as above; `&Map` gives out `&[u8]` only.
unsafe impl Sync for Pages {}

impl Map {
    /// At least `len` bytes, rounded up to whole pages, all of them present.
    pub(crate) fn new(len: usize, kind: Kind) -> io::Result<Self> {
        let len = len.next_multiple_of(page_size());
        let pages = match kind {
            Kind::Secretmem => Pages::secretmem(len)?,
            Kind::Locked => Pages::locked(len)?,
        };
        let mut map = Self { pages };
        // Faults every page in now, so that no use of a secret waits for it or fails.
        map.bytes_mut().fill(0);
        Ok(map)
    }

    /// Its addresses, for memory scans, which leave it out.
    pub(crate) fn addresses(&self) -> Range<u64> {
        let start = self.pages.base.as_ptr() as u64;
        start..start + self.pages.len as u64
    }

    /// The guard page before it.
    pub(crate) fn guard(&self) -> Range<u64> {
        let end = self.addresses().start;
        end - page_size() as u64..end
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` initialised bytes that live as long as `self`; no `&mut` to them exists.
        unsafe { std::slice::from_raw_parts(self.pages.base.as_ptr(), self.pages.len) }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`, and `&mut self` is the only way to them.
        unsafe { std::slice::from_raw_parts_mut(self.pages.base.as_ptr(), self.pages.len) }
    }

    /// Leaks the memory for the rest of the process's life.
    pub(super) fn leak(self) -> (NonNull<u8>, usize) {
        let map = std::mem::ManuallyDrop::new(self);
        (map.pages.base, map.pages.len)
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
    }
}

impl Pages {
    fn secretmem(len: usize) -> io::Result<Self> {
        let whole = len + 2 * page_size();
        // SAFETY: takes no pointers; the result is checked before it is used.
        let fd = unsafe { libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel has just opened it for us. It is closed when this function returns:
        // anyone who could take the descriptor later could map the memory.
        let file = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        ftruncate(file.as_fd(), whole as u64)?;
        let read_write = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe { mm::mmap(null_mut(), whole, read_write, MapFlags::SHARED, file.as_fd(), 0) }?;
        let pages = Self::after_guard(start.cast(), len)?;
        pages.protect(-1, MprotectFlags::empty())?;
        pages.protect(1, MprotectFlags::empty())?;
        pages.advise(Advice::LinuxDontFork)?;
        Ok(pages)
    }

    fn locked(len: usize) -> io::Result<Self> {
        let (whole, none) = (len + 2 * page_size(), ProtFlags::empty());
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let start = unsafe { mm::mmap_anonymous(null_mut(), whole, none, MapFlags::PRIVATE) }?;
        let pages = Self::after_guard(start.cast(), len)?;
        pages.protect(0, MprotectFlags::READ | MprotectFlags::WRITE)?;
        // SAFETY: locks the range mapped above.
        unsafe { mm::mlock(pages.base.as_ptr().cast(), len) }?;
        pages.advise(Advice::LinuxDontDump)?;
        pages.advise(Advice::LinuxWipeOnFork)?;
        Ok(pages)
    }

    fn after_guard(start: *mut u8, len: usize) -> io::Result<Self> {
        let base = NonNull::new(start.wrapping_add(page_size())).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self { base, len })
    }

    /// Protects the guard page before the range (-1), the range (0), or the guard page after it (1).
    fn protect(&self, part: i8, flags: MprotectFlags) -> io::Result<()> {
        let (start, len) = match part {
            -1 => (self.base.as_ptr().wrapping_sub(page_size()), page_size()),
            0 => (self.base.as_ptr(), self.len),
            _ => (self.base.as_ptr().wrapping_add(self.len), page_size()),
        };
        // SAFETY: within the mapping that `self` owns, and no reference into it exists yet.
        Ok(unsafe { mm::mprotect(start.cast(), len, flags) }?)
    }

    fn advise(&self, advice: Advice) -> io::Result<()> {
        // SAFETY: the advice used above changes nothing that this process reads.
        Ok(unsafe { mm::madvise(self.base.as_ptr().cast(), self.len, advice) }?)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let start = self.base.as_ptr().wrapping_sub(page_size()).cast();
        // SAFETY: the range that was mapped, guard pages included; nothing reaches it after this.
        let _ = unsafe { mm::munmap(start, self.len + 2 * page_size()) };
    }
}
