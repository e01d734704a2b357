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

/// Not a test: the code of the other process.
#[test]
#[ignore = "the process that another test starts"]
fn hardens_itself() {
    let before = may_become_executable();
    let missing = harden(Inspection::Refused).expect("hardened");
    let is_known = missing.is_empty();
    assert!(!is_known || (before && !may_become_executable()), "memory became executable");
    assert!(is_known || may_become_executable(), "it reports missing support");
}

#[test]
fn a_hardened_process_makes_no_memory_executable() {
    let mut own = Command::new(std::env::current_exe().expect("this program"));
    let own = own.args(["--exact", "raw::system::tests::hardens_itself", "--ignored"]);
    let done = own.output().expect("it runs");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && said.contains("1 passed"), "{said}");
}
