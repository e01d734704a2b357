//! The protocol of [`visits`] under loom, which runs the same code in every order that threads and the processor's
//! memory allow, and detects each unordered read and write of the bytes.

use loom::cell::UnsafeCell;
use loom::sync::{Arc, Mutex};
use loom::thread;

use self::visits::Visits;

mod atomic {
    pub(super) use loom::sync::atomic::{AtomicU64, Ordering};
}
// On purpose: the same code, with loom's atomics.
#[allow(clippy::duplicate_mod)]
#[path = "visits.rs"]
mod visits;

/// A slot of memory, whose bytes are a number.
struct Room {
    visits: Visits,
    bytes: UnsafeCell<u64>,
}

// SAFETY: loom fails the test if two threads reach the bytes unordered.
unsafe impl Sync for Room {}

/// The right to a room, which passes from owner to owner.
struct Slot(Arc<Room>);

#[derive(Clone)]
struct Visitor {
    room: Arc<Room>,
    generation: u64,
}

impl Slot {
    fn write(&mut self, bytes: u64) {
        self.0.visits.close();
        while !self.0.visits.are_over() {
            thread::yield_now();
        }
        // SAFETY: the pointer is good, and loom checks that nobody else is here.
        self.0.bytes.with_mut(|room| unsafe { *room = bytes });
    }

    fn visitor(&self) -> Visitor {
        Visitor { room: Arc::clone(&self.0), generation: self.0.visits.generation() }
    }
}

impl Visitor {
    fn read(&self) -> Option<u64> {
        let may_read = self.room.visits.enter(self.generation);
        // SAFETY: the pointer is good, and loom checks that nobody writes.
        let bytes = may_read.then(|| self.room.bytes.with(|room| unsafe { *room }));
        self.room.visits.leave();
        bytes
    }
}

/// Runs `threads` in every order with at most three preemptions. Without a bound it takes half a minute; two preemptions
/// are enough for all faults that were injected to test it.
fn in_every_order(threads: impl Fn() + Sync + Send + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(threads);
}

fn slot() -> Slot {
    Slot(Arc::new(Room { visits: Visits::default(), bytes: UnsafeCell::new(0) }))
}

#[test]
fn a_visit_reads_the_secret_that_it_came_for_or_nothing() {
    in_every_order(|| {
        let mut slot = slot();
        slot.write(1);
        let visitor = slot.visitor();
        let visits = thread::spawn(move || assert!(matches!(visitor.read(), Some(1) | None)));
        // The owner drops its secret, and the next owner of the slot writes another.
        slot.write(0);
        slot.write(2);
        assert_eq!(slot.visitor().read(), Some(2));
        visits.join().expect("a visit");
    });
}

#[test]
fn two_visits_run_beside_each_other_and_both_are_waited_for() {
    in_every_order(|| {
        let mut slot = slot();
        slot.write(1);
        let visitor = slot.visitor();
        let visits = [visitor.clone(), visitor]
            .map(|visitor| thread::spawn(move || assert!(matches!(visitor.read(), Some(1) | None))));
        slot.write(0);
        for visit in visits {
            visit.join().expect("a visit");
        }
    });
}

#[test]
fn a_slot_that_goes_to_an_owner_on_another_thread_takes_no_visitor_along() {
    in_every_order(|| {
        let mut first = slot();
        first.write(1);
        let stale = first.visitor();
        let free = Arc::new(Mutex::new(None));
        let returned = Arc::clone(&free);
        let owner = thread::spawn(move || {
            first.write(0);
            *returned.lock().expect("the free slots") = Some(first);
        });
        let visit = thread::spawn(move || assert!(matches!(stale.read(), Some(1) | None)));
        if let Some(mut second) = free.lock().expect("the free slots").take() {
            second.write(2);
            assert_eq!(second.visitor().read(), Some(2));
        }
        owner.join().expect("an owner");
        visit.join().expect("a visit");
    });
}
