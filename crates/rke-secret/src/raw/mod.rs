//! The only `unsafe` code of the project: mappings, the slots in them, the switch to a scratch
//! stack, the wiping of registers, and a few system calls that no crate wraps. Everything that this
//! module exports is safe to call in any order from any thread.
#![allow(unsafe_code)]

mod atomic {
    pub(super) use std::sync::atomic::{AtomicU64, Ordering};
}
mod fault;
mod map;
#[cfg(test)]
mod model;
mod program;
mod random;
mod registers;
mod slot;
mod stack;
mod system;
#[cfg(feature = "trace")]
pub mod trace;
mod visits;

pub(crate) use fault::report_overflows;
pub(crate) use map::{Kind, Map};
pub(crate) use program::{drop_code_pages, load_no_name_services, return_large_blocks};
pub(crate) use random::fill as fill_random;
pub(crate) use slot::{SLOT_LEN, SLOT_ROOM, Slot, Visitor};
pub(crate) use stack::{Depth, Reach, Stack};
pub(crate) use system::{
    abort, install_standstill, kill_child_with_parent, limit_files_in_child, note_signals_blocked,
    refuse_exec_gain, set_standstill, signal_thread, standing, unblock_in_child, write_stderr,
};
