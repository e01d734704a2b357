//! The program's own code in memory, and the ordinary memory that its allocator takes.

use std::ffi::c_void;

use rustix::param::page_size;

/// Blocks of at least this many bytes are mapped each by itself. It is what glibc begins with.
#[cfg(target_env = "gnu")]
const LARGE_BLOCK: libc::c_int = 128 * 1024;

/// Has the allocator give large blocks back to the system when they are freed. Left alone, glibc takes the first
/// large block that is freed for a sign that such blocks come and go, and from then on keeps the gaps of all that are
/// not larger.
pub(crate) fn give_back_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes numbers only; the allocator does it under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK);
    }
}

/// Takes the code of the program and of its libraries out of the process's memory. What is needed again comes back
/// from the file when it is.
pub(crate) fn let_code_go() {
    // SAFETY: the function is of the type that is asked for, and needs no data.
    unsafe { libc::dl_iterate_phdr(Some(let_object_go), std::ptr::null_mut()) };
}

/// Of one object, as the loader lists it. It stays loaded meanwhile.
unsafe extern "C" fn let_object_go(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut c_void,
) -> libc::c_int {
    // SAFETY: the loader gives a description that lives until this returns.
    let object = unsafe { &*object };
    if object.dlpi_phnum == 0 || object.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: there are `dlpi_phnum` headers, which lie in the object.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
    for header in headers {
        let is_code = header.p_flags & (libc::PF_X | libc::PF_W) == libc::PF_X;
        if header.p_type == libc::PT_LOAD && is_code {
            let (start, page) = ((object.dlpi_addr + header.p_vaddr) as usize, page_size());
            let (first, end) = (start & !(page - 1), start + header.p_memsz as usize);
            // SAFETY: a segment of code of a loaded object is a private mapping of its file that nobody has written:
            // its pages have the bytes of the file, which the next use reads again. Where the system refuses, they stay.
            unsafe { libc::madvise(first as *mut c_void, end - first, libc::MADV_DONTNEED) };
        }
    }
    0
}

#[cfg(test)]
mod tests {
    use procfs::process::{MMPermissions, Process};

    use super::*;

    /// Bytes of code of this process that are in memory.
    fn resident_code() -> u64 {
        let maps = Process::myself().and_then(|process| process.smaps()).expect("the maps of this process");
        let code = maps.into_iter().filter(|map| map.perms.contains(MMPermissions::EXECUTE));
        code.filter_map(|map| map.extension.map.get("Rss").copied()).sum()
    }

    #[test]
    fn code_that_is_let_go_is_not_in_memory_and_runs_when_it_is_needed() {
        let before = resident_code();
        let_code_go();
        let after = resident_code();
        assert!(after < before, "{after} of {before} bytes");
        // Code that the start of a program needed.
        assert_eq!(std::thread::spawn(|| format!("{:.1}", 0.25)).join().expect("a thread"), "0.2");
    }
}
