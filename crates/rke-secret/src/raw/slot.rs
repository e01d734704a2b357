//! Slots: 32 bytes of secret memory each, with one owner at a time. A [`Visitor`] may read a slot without owning it, until
//! the owner writes or frees it. Both wait for running visits, and for those that are just being refused.
//!
//! The life of a slot, whose generation `g` only ever grows:
//!
//! ```text
//!                        Memory::allocate_slot
//!      +------------+ ---------------------------> +------------+  Visitor::enter with g   +------------+
//!      | free       |                              | owned, g   | -----------------------> | visited, g |
//!      | bytes zero |                              | no visit   | <----------------------- | n visits   |
//!      +------------+                              +------------+  last Visit is dropped   +------------+
//!            ^                                       |        ^                              |
//!            | Secret::drop wipes,                   |        | Secret::expose_mut           | bytes_mut
//!            | Memory::free_slot                     |        | has written                  |
//!            |                             bytes_mut v        |                              v
//!            |                             +---------------------+   last visit ends  +---------------+
//!            +---------------------------- | exclusive, g+1      | <----------------- | closed, g+1   |
//!                                          | handles of g refused|                    | n visits run  |
//!                                          +---------------------+                    +---------------+
//! ```
//!
//! - `bytes_mut` refuses new visits first ([`Visits::close`]) and then waits for those that run ([`Visits::are_over`]).
//!   Only in *exclusive* does a `&mut` to the bytes exist.
//! - A visitor keeps the generation in which it was made. It enters only while that is current, so a handle that outlives
//!   its secret never reads the next owner's bytes.
//! - If the wait panics, the slot is *owned* in the new generation, with its bytes unchanged, while visits of the old one
//!   may still run; the owner may try again.

use std::cell::UnsafeCell;

use super::map::Map;
use super::visits::Visits;

/// Length of a slot.
pub(crate) const SLOT_LEN: usize = 32;

/// The size of a slot with its visits.
pub(crate) const SLOT_ROOM: usize = size_of::<Room>();

/// A slot in secret memory. Among a million of them each memory access costs more than wiping, so
/// visits and bytes are next to each other.
#[repr(C)]
struct Room {
    visits: Visits,
    bytes: UnsafeCell<[u8; SLOT_LEN]>,
}

/// The ownership of one slot. The memory lives as long as the process.
pub(crate) struct Slot(&'static Room);

/// The right to read a slot until its owner writes or frees it.
#[derive(Clone, Copy)]
pub(crate) struct Visitor {
    room: &'static Room,
    generation: u64,
}

/// A running visit. It ends when it is dropped.
pub(crate) struct Visit(&'static Room);

// SAFETY: the bytes are reached through the one `Slot` by the borrowing rules, and through visits only while
// no `&mut` to them can exist: see `Slot::bytes_mut`.
unsafe impl Sync for Room {}

impl Slot {
    /// Splits a mapping, which stays for the life of the process, into slots.
    pub(crate) fn split(map: Map) -> impl Iterator<Item = Self> {
        let (base, len) = map.leak();
        (0..len / SLOT_ROOM).map(move |at| {
            // SAFETY: `at` is below the number of whole rooms in the mapping.
            let room = unsafe { base.add(at * SLOT_ROOM) };
            // SAFETY: aligned, because mappings begin with a page and rooms are multiples of 8 bytes; zero, which is a
            // room without visits; never unmapped, and this is the only reference.
            Self(unsafe { room.cast().as_ref() })
        })
    }

    pub(crate) fn bytes(&self) -> &[u8; SLOT_LEN] {
        // SAFETY: only `bytes_mut` gives a `&mut`, and it needs `&mut self`.
        unsafe { &*self.0.bytes.get() }
    }

    /// The bytes to write. Refuses all earlier visitors, and calls `wait` as long as a visit runs. If `wait` panics, the
    /// bytes are unchanged.
    pub(crate) fn bytes_mut(&mut self, mut wait: impl FnMut()) -> &mut [u8; SLOT_LEN] {
        let visits = &self.0.visits;
        visits.close();
        while !visits.are_over() && waits_for_visits() {
            wait();
        }
        // SAFETY: as in `bytes`; no visit runs, and none can begin with an older generation.
        unsafe { &mut *self.0.bytes.get() }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        Visitor { room: self.0, generation: self.0.visits.generation() }
    }
}

impl Visitor {
    /// Begins a visit. `None` once the owner has written or freed the slot.
    pub(crate) fn enter(self) -> Option<Visit> {
        let may_read = self.room.visits.enter(self.generation);
        // Made in either case, because a refused visit was counted and has to end too.
        let visit = Visit(self.room);
        may_read.then_some(visit)
    }
}

impl Visit {
    pub(crate) fn bytes(&self) -> &[u8; SLOT_LEN] {
        // SAFETY: while the visit is counted, the owner makes no `&mut` to the slot.
        unsafe { &*self.0.bytes.get() }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.visits.leave();
    }
}

#[cfg(not(feature = "fault-injection"))]
const fn waits_for_visits() -> bool {
    true
}

#[cfg(feature = "fault-injection")]
fn waits_for_visits() -> bool {
    !crate::fault_injection::is_injected(crate::fault_injection::Fault::Unserialised)
}
