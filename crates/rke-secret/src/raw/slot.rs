//! Slots: 32 bytes of secret memory each, lent to one owner at a time. A [`Visitor`] may read along
//! without owning: it is refused once the owner has written or given up the slot, and both of these
//! wait for the visits that run, and for those that are just being refused.

use std::cell::UnsafeCell;

use super::map::Map;
use super::visits::Visits;

/// Length of a slot.
pub(crate) const SLOT_LEN: usize = 32;

/// What a slot takes of secret memory.
pub(crate) const SLOT_ROOM: usize = size_of::<Room>();

/// A slot in secret memory. Among a million of them each place that has to be found costs more than wiping, so
/// visits and bytes are one.
#[repr(C)]
struct Room {
    visits: Visits,
    bytes: UnsafeCell<[u8; SLOT_LEN]>,
}

/// The right to one slot. The memory lives as long as the process.
pub(crate) struct Slot(&'static Room);

/// The right to read a slot for as long as its owner neither writes it nor gives it up.
#[derive(Clone, Copy)]
pub(crate) struct Visitor {
    room: &'static Room,
    generation: u64,
}

/// A visit that runs. Ends when it is dropped.
pub(crate) struct Visit(&'static Room);

// SAFETY: the bytes are reached through the one `Slot` by the borrowing rules, and through visits only while
// no `&mut` to them can exist: see `Slot::bytes_mut`.
unsafe impl Sync for Room {}

impl Slot {
    /// All slots of a mapping, which stays for the life of the process.
    pub(crate) fn carve(map: Map) -> impl Iterator<Item = Self> {
        let (base, len) = map.leak();
        (0..len / SLOT_ROOM).map(move |at| {
            // SAFETY: `at` is below the number of whole rooms in the mapping.
            let room = unsafe { base.add(at * SLOT_ROOM) };
            // SAFETY: aligned, for mappings begin with a page and rooms are multiples of 8 bytes; zero, which is a
            // room without visits; never unmapped, and no reference but this one.
            Self(unsafe { room.cast().as_ref() })
        })
    }

    pub(crate) fn bytes(&self) -> &[u8; SLOT_LEN] {
        // SAFETY: only `bytes_mut` gives a `&mut`, and it needs `&mut self`.
        unsafe { &*self.0.bytes.get() }
    }

    /// The bytes to write. Refuses all visitors from here on, and calls `wait` for as long as a visit runs. That may
    /// panic, and then the bytes are as they were.
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
    /// Begins a visit. `None` once the owner has written the slot or given it up.
    pub(crate) fn enter(self) -> Option<Visit> {
        let may_read = self.room.visits.enter(self.generation);
        // Made in either case, because a refused visit ends too.
        let visit = Visit(self.room);
        may_read.then_some(visit)
    }
}

impl Visit {
    pub(crate) fn bytes(&self) -> &[u8; SLOT_LEN] {
        // SAFETY: while the visit is counted the owner makes no `&mut` to the slot.
        unsafe { &*self.0.bytes.get() }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.visits.leave();
    }
}

#[cfg(not(feature = "controls"))]
const fn waits_for_visits() -> bool {
    true
}

#[cfg(feature = "controls")]
fn waits_for_visits() -> bool {
    !crate::control::is_on(crate::control::Control::Unserialised)
}
