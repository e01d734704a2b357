//! How the visits to a slot and its owner keep out of each other's way. A visit is counted before it asks whether it
//! may read; an owner refuses later visits before it asks whether one still runs. So one of the two hears of the
//! other, whatever the order. `model` tries all orders.

use super::atomic::{AtomicU64, Ordering};

/// Zero, as it lies in new memory, is the first generation without a visit.
#[derive(Default)]
#[repr(C)]
pub(super) struct Visits {
    /// Changed by the owner alone. It grows for as long as the process lives, and does not come to its end.
    generation: AtomicU64,
    /// Visits that run, and those that are just being refused. Whoever changes it, or takes it for zero, does so in
    /// one step with reading it (also where nothing changes): such steps see each other in one order, while a mere
    /// read may see what was before.
    running: AtomicU64,
}

impl Visits {
    /// What a visitor of now has to come with.
    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Begins a visit and says whether it may read. To be followed by [`Visits::leave`] in either case.
    pub(super) fn enter(&self, generation: u64) -> bool {
        // Acquire: after an owner has found nobody here, its new generation is seen.
        self.running.fetch_add(1, Ordering::Acquire);
        self.generation.load(Ordering::Relaxed) == generation
    }

    /// Ends a visit.
    pub(super) fn leave(&self) {
        // Release: what the visit read is read before the owner finds nobody here.
        self.running.fetch_sub(1, Ordering::Release);
    }

    /// Refuses all who come with a generation of before. For the owner.
    pub(super) fn close(&self) {
        self.generation.store(self.generation() + 1, Ordering::Relaxed);
    }

    /// Whether no visit runs. Asked after [`Visits::close`], none begins any more.
    pub(super) fn are_over(&self) -> bool {
        self.running.compare_exchange(0, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}
