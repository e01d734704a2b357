//! Slots: 32 bytes of secret memory each, lent to one owner at a time. A [`Visitor`] may read along
//! without owning: it is refused once the owner has written or given up the slot, and both of these
//! wait for the visits that run.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::map::Map;

/// Length of a slot.
pub(crate) const SLOT_LEN: usize = 32;

/// What a slot takes of secret memory: its state, then its bytes. Among a million slots each place that has to
/// be found costs more than wiping, so there is one.
pub(crate) const SLOT_ROOM: usize = STATE_LEN + SLOT_LEN;
const STATE_LEN: usize = size_of::<AtomicU64>();

/// One more generation; the bits below count the visits that run.
const GENERATION: u64 = 1 << 32;

/// The right to one slot. The memory lives as long as the process.
pub(crate) struct Slot {
    bytes: NonNull<[u8; SLOT_LEN]>,
    state: &'static AtomicU64,
}

/// The right to read a slot for as long as its owner neither writes it nor gives it up.
#[derive(Clone, Copy)]
pub(crate) struct Visitor {
    bytes: NonNull<[u8; SLOT_LEN]>,
    state: &'static AtomicU64,
    generation: u64,
}

/// A visit that runs. Ends when it is dropped.
pub(crate) struct Visit(Visitor);

// SAFETY: the memory is reached through the one `Slot` by the borrowing rules, and through visitors
// only while no `&mut` to it can exist: see `Slot::bytes_mut`.
unsafe impl Send for Slot {}
// SAFETY: as above; `&Slot` gives out `&[u8]` only.
unsafe impl Sync for Slot {}
// SAFETY: as above; a visitor gives out `&[u8]` only, and only during a visit.
unsafe impl Send for Visitor {}
// SAFETY: as above.
unsafe impl Sync for Visitor {}

impl Slot {
    /// All slots of a mapping, which stays for the life of the process.
    pub(crate) fn carve(map: Map) -> impl Iterator<Item = Self> {
        let (base, len) = map.leak();
        (0..len / SLOT_ROOM).map(move |at| {
            // SAFETY: `at` is below the number of whole slots in the mapping.
            let room = unsafe { base.add(at * SLOT_ROOM) };
            // SAFETY: aligned, for mappings begin with a page and rooms are multiples of 8 bytes; zero, which is a
            // state; never unmapped, and reached only through this reference.
            let state = unsafe { AtomicU64::from_ptr(room.as_ptr().cast()) };
            // SAFETY: within the same room.
            let bytes = unsafe { room.add(STATE_LEN) }.cast();
            Self { bytes, state }
        })
    }

    pub(crate) fn bytes(&self) -> &[u8; SLOT_LEN] {
        // SAFETY: initialised memory that is never unmapped; a `&mut` needs `&mut self`.
        unsafe { self.bytes.as_ref() }
    }

    /// The bytes to write. Refuses all visitors from here on and waits for the visits that run.
    pub(crate) fn bytes_mut(&mut self) -> &mut [u8; SLOT_LEN] {
        let mut state = self.state.fetch_add(GENERATION, Ordering::AcqRel);
        while visits(state) != 0 && waits_for_visits() {
            std::thread::yield_now();
            state = self.state.load(Ordering::Acquire);
        }
        // SAFETY: as in `bytes`; no visit runs, and none can begin with an older generation.
        unsafe { self.bytes.as_mut() }
    }

    pub(crate) fn visitor(&self) -> Visitor {
        let generation = self.state.load(Ordering::Acquire) / GENERATION;
        Visitor { bytes: self.bytes, state: self.state, generation }
    }
}

impl Visitor {
    /// Begins a visit. `None` once the owner has written the slot or given it up.
    pub(crate) fn enter(self) -> Option<Visit> {
        let mut state = self.state.load(Ordering::Acquire);
        while state / GENERATION == self.generation {
            match self.state.compare_exchange_weak(state, state + 1, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(Visit(self)),
                Err(now) => state = now,
            }
        }
        None
    }
}

impl Visit {
    pub(crate) fn bytes(&self) -> &[u8; SLOT_LEN] {
        // SAFETY: while the visit is counted the owner makes no `&mut` to the slot.
        unsafe { self.0.bytes.as_ref() }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.0.state.fetch_sub(1, Ordering::Release);
    }
}

fn visits(state: u64) -> u64 {
    state % GENERATION
}

#[cfg(not(feature = "controls"))]
const fn waits_for_visits() -> bool {
    true
}

#[cfg(feature = "controls")]
fn waits_for_visits() -> bool {
    !crate::control::is_on(crate::control::Control::Unserialised)
}
