//! Random bytes from the kernel's generator without a call into the kernel, where it offers that: Linux 6.11
//! maps `vgetrandom` into each process. Newer C libraries do the same in their `getrandom`. The kernel says
//! when the bytes of a state must not be used: after a fork, and when a virtual machine was copied.

use std::cell::RefCell;
use std::ffi::CStr;
use std::ptr::{NonNull, null_mut};
use std::sync::OnceLock;

use rustix::param::page_size;

#[cfg(target_arch = "x86_64")]
const NAME: &CStr = c"__vdso_getrandom";
#[cfg(target_arch = "aarch64")]
const NAME: &CStr = c"__kernel_getrandom";

/// Buffer and its length, flags, state and its length; gives how many bytes it wrote, or less than 0. With
/// [`ASK`] for the last it writes [`Wanted`] in place of a state.
type Vgetrandom = unsafe extern "C" fn(*mut u8, usize, u32, *mut Wanted, usize) -> isize;
const ASK: usize = usize::MAX;

/// What the kernel wants states to lie in. Its `struct vgetrandom_opaque_params`.
#[repr(C)]
#[derive(Default)]
struct Wanted {
    state_len: u32,
    protection: u32,
    flags: u32,
    reserved: [u32; 13],
}

thread_local! {
    /// A state serves one call at a time, so each thread has its own.
    static STATE: RefCell<Option<State>> = RefCell::new(State::new());
}

/// Fills `bytes`. `false` where only a call into the kernel can do that; they may be half filled then.
pub(crate) fn fill(bytes: &mut [u8]) -> bool {
    let filled = STATE.try_with(|state| state.borrow_mut().as_mut().is_some_and(|state| state.fill(bytes)));
    filled.unwrap_or_default()
}

/// What `vgetrandom` keeps between two calls. Not memory of ours: the kernel may empty it at any time.
struct State {
    call: Vgetrandom,
    page: NonNull<Wanted>,
    len: usize,
}

impl State {
    fn new() -> Option<Self> {
        let (call, mut wanted) = (find()?, Wanted::default());
        // SAFETY: this is how the kernel is asked; it writes one `Wanted`, which there is room for.
        let asked = unsafe { call(null_mut(), 0, 0, &raw mut wanted, ASK) };
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
        // SAFETY: `bytes` has room for as much; the state lies on one page of the kind that the kernel wants, was
        // zero at first, and `&mut self` keeps other calls from it. No signal handler here asks for random bytes.
        let got = unsafe { (self.call)(bytes.as_mut_ptr(), bytes.len(), 0, self.page.as_ptr(), self.len) };
        got == bytes.len() as isize
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // SAFETY: the page that was mapped for it; nobody reaches it after this.
        let _ = unsafe { libc::munmap(self.page.as_ptr().cast(), page_size()) };
    }
}

/// The kernel's function, where it has one.
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
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_bytes_come_twice_on_any_thread() {
        if find().is_none() {
            let mut byte = [0];
            assert!(!fill(&mut byte));
            return;
        }
        let many = || -> Vec<[u8; 16]> {
            let one = |_| {
                let mut bytes = [0; 16];
                assert!(fill(&mut bytes));
                bytes
            };
            (0..5000).map(one).collect()
        };
        let threads = [(); 4].map(|()| std::thread::spawn(many));
        let all: HashSet<_> = threads.into_iter().flat_map(|thread| thread.join().expect("bytes")).collect();
        assert_eq!(all.len(), 20_000);
        let mut long = vec![0; 5000];
        assert!(fill(&mut long) && long[4900..].iter().any(|byte| *byte != 0));
    }
}
