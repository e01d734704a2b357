//! The process's scratch stacks, and which of them a thread is on.
//!
//! Lock order: a thread on a stack may move on only to one that comes later in [`Depth`]. So no thread waits for
//! a stack that it holds itself, and no two threads wait for each other. A visit is on a
//! stack of the last depth, and does not wait without end either: see [`wait_for_visits`]. Unscoped work
//! ([`Stacks::run_unscoped`]) has a deep stack of its own for its scopes, and only one thread at a time does it.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::lock::{lock, try_lock};
use crate::raw::{Depth, Kind, Reach, Stack, report_overflows};

/// Stacks for key encapsulations. They are large, and such an operation is short, so further ones wait.
const KEM_STACKS: usize = 2;

/// How long a visit waits for others. See [`wait_for_visits`].
const VISIT_TIMEOUT: Duration = Duration::from_secs(1);

pub(crate) struct Stacks {
    deep: Pool,
    /// For the scopes of unscoped work.
    unscoped: Mutex<Stack>,
    /// Held by the thread that does such work.
    turn: Mutex<()>,
    kem: Pool,
    shallow: Pool,
}

type Pool = Box<[Mutex<Stack>]>;

thread_local! {
    /// The scratch stack that this thread is on.
    static ON: Cell<Option<Depth>> = const { Cell::new(None) };
    /// Whether this thread does unscoped work.
    static IS_UNSCOPED: Cell<bool> = const { Cell::new(false) };
    /// The number of the scratch stack that this thread tries first, modulo the size of the pool.
    static FIRST: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// Whether this thread is on a scratch stack.
pub(crate) fn is_on_stack() -> bool {
    ON.get().is_some()
}

/// Returns a function that waits a little for visits to end, and is called until they have. In a visit it calls `give_up`
/// after [`VISIT_TIMEOUT`], although visits take microseconds: what it waits for may be this very visit, or one that waits
/// for this one.
pub(crate) fn wait_for_visits(give_up: impl Fn()) -> impl FnMut() {
    let mut since = None;
    move || {
        thread::yield_now();
        let is_in_visit = ON.get() == Some(Depth::Shallow);
        if is_in_visit && since.get_or_insert_with(Instant::now).elapsed() > VISIT_TIMEOUT {
            give_up();
        }
    }
}

impl Stacks {
    pub(crate) fn new(kind: Kind) -> io::Result<Self> {
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let count = (cores + 4).min(32);
        let pool = |depth, count| -> io::Result<Pool> {
            (0..count).map(|_| Stack::new(kind, depth).map(Mutex::new)).collect()
        };
        Ok(Self {
            deep: pool(Depth::Deep, count)?,
            unscoped: Mutex::new(Stack::new(kind, Depth::Deep)?),
            turn: Mutex::default(),
            kem: pool(Depth::Kem, KEM_STACKS)?,
            shallow: pool(Depth::Shallow, count)?,
        })
    }

    /// A free stack, after a wait if all are taken.
    ///
    /// # Panics
    /// If this thread is on a stack that does not come before it in the lock order.
    pub(crate) fn take(&self, depth: Depth) -> MutexGuard<'_, Stack> {
        if let Some(on) = ON.get().filter(|on| *on >= depth) {
            refuse(on, depth);
        }
        if depth == Depth::Deep && IS_UNSCOPED.get() {
            return lock(&self.unscoped);
        }
        let pool = match depth {
            Depth::Kem => &self.kem,
            Depth::Shallow => &self.shallow,
            _ => &self.deep,
        };
        // Prefers the one that this thread had before, whose memory may still be in the processor's caches.
        let first = &pool[FIRST.with(|first| *first) % pool.len()];
        let free = try_lock(first).or_else(|| pool.iter().find_map(try_lock));
        free.unwrap_or_else(|| lock(first))
    }

    fn all(&self) -> impl Iterator<Item = &Mutex<Stack>> {
        self.deep.iter().chain([&self.unscoped]).chain(&self.kem).chain(&self.shallow)
    }

    pub(crate) fn addresses(&self) -> Vec<Range<u64>> {
        self.all().map(|stack| lock(stack).addresses()).collect()
    }

    /// Wipes idle scratch stacks that are not wiped. Returns their number, and the bytes of all idle ones.
    pub(crate) fn clear_idle(&self) -> (u64, u64) {
        self.all().filter_map(try_lock).fold((0, 0), |(dirty, bytes), mut stack| {
            let is_dirty = !stack.is_wiped();
            if is_dirty {
                stack.clear();
            }
            (dirty + u64::from(is_dirty), bytes + stack.len() as u64)
        })
    }

    /// Makes the process print a message if it ends because a stack overflows.
    pub(crate) fn guard(&self) -> io::Result<()> {
        report_overflows(self.all().map(|stack| lock(stack).guard()).collect())
    }

    /// Runs `work` on `stack` as if this thread were on none, so its scopes are scopes of their own. Returns a panic as an
    /// error. Call [`expect_may_leave_scope`] first.
    pub(crate) fn run_unscoped<R>(&self, stack: &mut Stack, work: impl FnOnce() -> R) -> thread::Result<R> {
        let _turn = lock(&self.turn);
        IS_UNSCOPED.set(true);
        let before = ON.replace(None);
        let outcome = stack.run(Reach::WHOLE, work);
        ON.set(before);
        IS_UNSCOPED.set(false);
        outcome
    }
}

/// Runs `work` on `stack`, whether or not this thread is on another one.
pub(crate) fn run<R>(stack: &mut Stack, reach: Reach, work: impl FnOnce() -> R) -> R {
    let before = ON.replace(Some(stack.depth()));
    let outcome = stack.run(reach, work);
    ON.set(before);
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// Refuses unscoped work that could wait for itself.
///
/// # Panics
/// In such work, and if this thread is on a stack that comes after [`Depth::Deep`].
pub(crate) fn expect_may_leave_scope() {
    if let Some(on) = ON.get().filter(|on| *on > Depth::Deep || IS_UNSCOPED.get()) {
        refuse(on, Depth::Report);
    }
}

/// How far down on `stack` some work gets, including the scopes in it.
pub(crate) fn measure(stack: &mut Stack, work: impl FnMut()) -> Reach {
    let before = ON.replace(Some(stack.depth()));
    let outcome = stack.measure(work);
    ON.set(before);
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

#[cold]
fn refuse(on: Depth, wanted: Depth) -> ! {
    let name = |depth| match depth {
        Depth::Shallow => "a visit to a secret through a handle",
        Depth::Kem => "a key encapsulation",
        _ => "a scope",
    };
    let wanted = match wanted {
        Depth::Deep => "the measurement of a scope",
        Depth::Report => "work outside a scope",
        _ => name(wanted),
    };
    // A caller's mistake that would otherwise be an endless wait.
    #[allow(clippy::panic)]
    {
        panic!("{wanted} cannot begin inside {}: end that first", name(on));
    }
}
