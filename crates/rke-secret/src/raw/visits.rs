//! The synchronisation between the visits to a slot and its owner. A visit is counted before it checks whether it
//! may read; an owner refuses later visits before it checks whether one still runs. So at least one of the two sees the
//! other, in every order. `model` tries all orders.

use super::atomic::{AtomicU64, Ordering};

/// Zero, as it lies in new memory, is the first generation without a visit.
#[derive(Default)]
#[repr(C)]
pub(super) struct Visits {
    /// Only the owner changes it. It grows as long as the process lives; 2^64 generations do not run out.
    generation: AtomicU64,
    /// Running visits, and those that are just being refused. It is only changed, or compared with zero, by atomic
    /// read-modify-write operations, which see each other in one order. A plain load might return an older value.
    running: AtomicU64,
}

impl Visits {
    /// The generation that a new visitor has to present.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Begins a visit and returns whether it may read. Call [`Visits::leave`] afterwards in either case.
    pub(super) fn enter(&self, generation: u64) -> bool {
        // Acquire: pairs with `are_over`, so a visit that begins after it sees the new generation.
        self.running.fetch_add(1, Ordering::Acquire);
        self.generation.load(Ordering::Relaxed) == generation
    }

    /// Ends a visit.
    pub(super) fn leave(&self) {
        // Release: pairs with `are_over`, so the visit's reads happen before the owner's writes.
        self.running.fetch_sub(1, Ordering::Release);
    }

    /// Refuses all visitors of earlier generations. For the owner.
    pub(super) fn close(&self) {
        self.generation.store(self.generation() + 1, Ordering::Relaxed);
    }

    /// Whether no visit runs. After [`Visits::close`], none begins either.
    pub(super) fn are_over(&self) -> bool {
        self.running.compare_exchange(0, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}
