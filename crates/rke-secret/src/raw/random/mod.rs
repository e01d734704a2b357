//! Random bytes from the kernel's generator without a system call: Linux 6.11
//! maps `vgetrandom` into each process. Newer C libraries do the same in their `getrandom`. The kernel invalidates
//! a state whose bytes must not be used: after a fork, and when a virtual machine was copied.

use std::cell::RefCell;
use std::ffi::CStr;
use std::ptr::{NonNull, null_mut};
use std::sync::OnceLock;

use rustix::param::page_size;

#[cfg(target_arch = "x86_64")]
const NAME: &CStr = c"__vdso_getrandom";
#[cfg(target_arch = "aarch64")]
const NAME: &CStr = c"__kernel_getrandom";

/// Buffer and its length, flags, state and its length; returns how many bytes it wrote, or less than 0. With
/// [`QUERY_PARAMS`] for the last it writes [`StateParams`] instead.
type Vgetrandom = unsafe extern "C" fn(*mut u8, usize, u32, *mut StateParams, usize) -> isize;
const QUERY_PARAMS: usize = usize::MAX;

/// The memory that the kernel requires for a state: its `struct vgetrandom_opaque_params`.
#[repr(C)]
#[derive(Default)]
struct StateParams {
    state_len: u32,
    protection: u32,
    flags: u32,
    reserved: [u32; 13],
}

thread_local! {
    /// A state serves one call at a time, so each thread has its own.
    static STATE: RefCell<Option<State>> = RefCell::new(State::new());
}

/// Fills `bytes`. Returns `false` if only a system call can do that; they may be half filled then.
pub(crate) fn fill(bytes: &mut [u8]) -> bool {
    let filled = STATE.try_with(|state| state.borrow_mut().as_mut().is_some_and(|state| state.fill(bytes)));
    filled.unwrap_or_default()
}

/// The state of `vgetrandom` between two calls. It belongs to the kernel, which may clear it at any time.
struct State {
    call: Vgetrandom,
    page: NonNull<StateParams>,
    len: usize,
}

impl State {
    fn new() -> Option<Self> {
        let (call, mut wanted) = (find()?, StateParams::default());
        // SAFETY: the documented way to query the parameters; it writes one `StateParams`, which has room.
        let asked = unsafe { call(null_mut(), 0, 0, &raw mut wanted, QUERY_PARAMS) };
        let len = wanted.state_len as usize;
        if asked != 0 || len > page_size() {
            return None;
        }
        let (protection, flags) = (wanted.protection as i32, wanted.flags as i32);
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let page = unsafe { libc::mmap(null_mut(), page_size(), protection, flags, -1, 0) };
        (page != libc::MAP_FAILED).then_some(())?;
        Some(Self { call, page: NonNull::new(page.cast())?, len })
    }

    fn fill(&mut self, bytes: &mut [u8]) -> bool {
        // SAFETY: `bytes` has room for that many; the state is on one page of the required kind, was zero at first, and
        // `&mut self` excludes other calls. No signal handler here asks for random bytes.
        let got = unsafe { (self.call)(bytes.as_mut_ptr(), bytes.len(), 0, self.page.as_ptr(), self.len) };
        got == bytes.len() as isize
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: the page that was mapped for it; nothing reaches it after this.
        let _ = unsafe { libc::munmap(self.page.as_ptr().cast(), page_size()) };
    }
}

/// The kernel's function, if it has one.
fn find() -> Option<Vgetrandom> {
    static FOUND: OnceLock<Option<Vgetrandom>> = OnceLock::new();
    *FOUND.get_or_init(|| {
        // SAFETY: names an object that the kernel has mapped for the life of the process; nothing is loaded.
        let object =
            unsafe { libc::dlopen(c"linux-vdso.so.1".as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD) };
        let object = NonNull::new(object)?;
        // SAFETY: an object that was just found, and a name that ends with 0.
        let symbol = NonNull::new(unsafe { libc::dlsym(object.as_ptr(), NAME.as_ptr()) })?;
        // SAFETY: the kernel's function of this name has this type.
        Some(unsafe { std::mem::transmute::<*mut libc::c_void, Vgetrandom>(symbol.as_ptr()) })
    })
}

#[cfg(test)]
mod tests;
