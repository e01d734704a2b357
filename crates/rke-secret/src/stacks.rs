//! The process's scratch stacks, and which of them a thread is on.
//!
//! A thread that is on a stack may go on to one that comes later in [`Depth`] and to no other. So no thread waits for
//! a stack that it holds itself, nor two for one another's. Nor does a thread wait without end in a visit, which is on a
//! stack of the last depth: see [`waiting`]. Work that is set apart from a scope ([`run_apart`]) has a deep stack of its own for
//! its scopes, and one thread at a time does such work.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::lock::{lock, try_lock};
use crate::raw::{Depth, Kind, Reach, Stack, tell_of_overflows};

/// Stacks for key encapsulations. They are large, and such an operation is short: more wait for their turn.
const KEM_STACKS: usize = 2;

/// How long a visit waits for others. See [`waiting`].
const PATIENCE: Duration = Duration::from_secs(1);

pub(crate) struct Stacks {
    deep: Pool,
    /// For the scopes of work that is set apart.
    apart: Mutex<Stack>,
    /// Whose turn it is to do such work.
    turn: Mutex<()>,
    kem: Pool,
    shallow: Pool,
}

type Pool = Box<[Mutex<Stack>]>;

thread_local! {
    /// The scratch stack that this thread is on.
    static ON: Cell<Option<Depth>> = const { Cell::new(None) };
    /// Whether this thread does work that is set apart from a scope.
    static IS_APART: Cell<bool> = const { Cell::new(false) };
    /// The scratch stack that this thread tries first, counted on without end.
    static FIRST: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    };
}

/// Whether this thread is on a scratch stack.
pub(crate) fn is_on_stack() -> bool {
    ON.get().is_some()
}

/// A wait for visits to end, which goes on with each call. In a visit it calls `give_up` when visits that are a matter
/// of microseconds have had all the time that a busy machine can take: they may be this one, or wait for this one in
/// turn.
pub(crate) fn waiting(give_up: impl Fn()) -> impl FnMut() {
    let mut since = None;
    move || {
        thread::yield_now();
        let is_in_visit = ON.get() == Some(Depth::Shallow);
        if is_in_visit && since.get_or_insert_with(Instant::now).elapsed() > PATIENCE {
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
            apart: Mutex::new(Stack::new(kind, Depth::Deep)?),
            turn: Mutex::default(),
            kem: pool(Depth::Kem, KEM_STACKS)?,
            shallow: pool(Depth::Shallow, count)?,
        })
    }

    /// A stack that nobody is on, after a wait where there is none.
    ///
    /// # Panics
    /// Where this thread is on one that does not come before it.
    pub(crate) fn take(&self, depth: Depth) -> MutexGuard<'_, Stack> {
        if let Some(on) = ON.get().filter(|on| *on >= depth) {
            refuse(on, depth);
        }
        if depth == Depth::Deep && IS_APART.get() {
            return lock(&self.apart);
        }
        let pool = match depth {
            Depth::Kem => &self.kem,
            Depth::Shallow => &self.shallow,
            _ => &self.deep,
        };
        // The one that this thread had before if it is free, else any, else a wait.
        let first = &pool[FIRST.with(|first| *first) % pool.len()];
        let free = try_lock(first).or_else(|| pool.iter().find_map(try_lock));
        free.unwrap_or_else(|| lock(first))
    }

    fn all(&self) -> impl Iterator<Item = &Mutex<Stack>> {
        self.deep.iter().chain([&self.apart]).chain(&self.kem).chain(&self.shallow)
    }

    pub(crate) fn addresses(&self) -> Vec<Range<u64>> {
        self.all().map(|stack| lock(stack).addresses()).collect()
    }

    /// Wipes scratch stacks that are idle and not wiped. Gives their number, and the bytes of those that were looked at.
    pub(crate) fn clear_idle(&self) -> (u64, u64) {
        self.all().filter_map(try_lock).fold((0, 0), |(dirty, bytes), mut stack| {
            let is_dirty = !stack.is_wiped();
            if is_dirty {
                stack.clear();
            }
            (dirty + u64::from(is_dirty), bytes + stack.len() as u64)
        })
    }

    /// Has the process say why it ends, where it must because a stack was too small.
    pub(crate) fn guard(&self) -> io::Result<()> {
        tell_of_overflows(self.all().map(|stack| lock(stack).guard()).collect())
    }

    /// Runs `work` on `stack` as if this thread were on none: its scopes are scopes of their own. A panic comes back as an
    /// error. Comes after [`expect_apart`].
    pub(crate) fn run_apart<R>(&self, stack: &mut Stack, work: impl FnOnce() -> R) -> thread::Result<R> {
        let _turn = lock(&self.turn);
        IS_APART.set(true);
        let before = ON.replace(None);
        let outcome = stack.run(Reach::WHOLE, work);
        ON.set(before);
        IS_APART.set(false);
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

/// Refuses work that is set apart from where it could wait for itself.
///
/// # Panics
/// In such work, and where this thread is on a stack that comes after [`Depth::Deep`].
pub(crate) fn expect_apart() {
    if let Some(on) = ON.get().filter(|on| *on > Depth::Deep || IS_APART.get()) {
        refuse(on, Depth::Report);
    }
}

/// How far down on `stack` some work gets, where a scope in it is part of it.
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
        Depth::Report => "work that is set apart",
        _ => name(wanted),
    };
    // A caller's mistake, which would be a wait without end.
    #[allow(clippy::panic)]
    {
        panic!("{wanted} cannot begin inside {}: end that first", name(on));
    }
}
