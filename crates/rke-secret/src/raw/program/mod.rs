//! The program's own code in memory, the ordinary memory that its allocator takes, and the libraries that it
//! would load to look up names.

use std::ffi::c_void;

use rustix::param::page_size;

/// Blocks of at least this many bytes get a mapping of their own. It is glibc's initial value.
#[cfg(target_env = "gnu")]
const LARGE_BLOCK: libc::c_int = 128 * 1024;

/// Makes the allocator return large blocks to the system when they are freed. By default, glibc takes the first
/// freed large block as a sign that such blocks come and go, and from then on keeps the gaps of all blocks up to that
/// size.
pub(crate) fn return_large_blocks() {
    #[cfg(target_env = "gnu")]
    // SAFETY: takes numbers only; the allocator does it under its own lock.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE_BLOCK);
    }
}

#[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
unsafe extern "C" {
    /// glibc's, in `nss.h`: uses these sources in place of those in `/etc/nsswitch.conf`.
    fn __nss_configure_lookup(
        database: *const std::ffi::c_char,
        sources: *const std::ffi::c_char,
    ) -> std::ffi::c_int;
}

/// Makes a static program find hosts in `/etc/hosts` and DNS, and groups in `/etc/group`, whatever `/etc/nsswitch.conf` says. For
/// all other sources glibc loads libraries of this machine, which may belong to another version of it.
pub(crate) fn load_no_name_services() {
    #[cfg(all(target_env = "gnu", target_feature = "crt-static"))]
    for (database, sources) in [(c"hosts", c"files dns"), (c"group", c"files")] {
        // SAFETY: both are texts that end with a zero, which glibc copies under its own lock.
        unsafe { __nss_configure_lookup(database.as_ptr(), sources.as_ptr()) };
    }
}

/// Drops the code of the program and of its libraries from memory. The kernel reads what is needed again from the file.
pub(crate) fn drop_code_pages() {
    // SAFETY: the function is of the type that is asked for, and needs no data.
    unsafe { libc::dl_iterate_phdr(Some(drop_code_pages_of), std::ptr::null_mut()) };
}

/// Drops the code of one object that the loader lists. It stays loaded meanwhile.
unsafe extern "C" fn drop_code_pages_of(
    object: *mut libc::dl_phdr_info,
    _: libc::size_t,
    _: *mut c_void,
) -> libc::c_int {
    // SAFETY: the loader gives a description that lives until this returns.
    let object = unsafe { &*object };
    if object.dlpi_phnum == 0 || object.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the object contains `dlpi_phnum` headers.
    let headers = unsafe { std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into()) };
    for header in headers {
        let is_code = header.p_flags & (libc::PF_X | libc::PF_W) == libc::PF_X;
        if header.p_type == libc::PT_LOAD && is_code {
            let (start, page) = ((object.dlpi_addr + header.p_vaddr) as usize, page_size());
            let (first, end) = (start & !(page - 1), start + header.p_memsz as usize);
            // SAFETY: a code segment of a loaded object is a private, unmodified mapping of its file: its pages have the
            // bytes of the file, which the next use reads again. If the system refuses, they stay.
            unsafe { libc::madvise(first as *mut c_void, end - first, libc::MADV_DONTNEED) };
        }
    }
    0
}

#[cfg(test)]
mod tests;
