//! The process's secret memory: slots to lend, and scratch stacks to work on. It is set up once, by
//! [`start`] or with the defaults by the first secret, and grows in steps when it runs out of slots.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::thread;

use rustix::process::{Resource, getrlimit};

use crate::SecretError;
use crate::raw::{Depth, Kind, Map, Reach, SLOT_ROOM, Slot, Stack};

/// Stacks for key encapsulations. They are large, and such an operation is short: more wait for their turn.
const KEM_STACKS: usize = 2;

/// Slots that are there from the start, and fewest by which they grow.
const MIN_SLOTS: usize = 1024;

/// Which memory to hold secrets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SecretMemory {
    /// The best that the system has.
    #[default]
    Auto,
    /// memfd_secret or nothing.
    Secretmem,
    /// Locked, undumpable, wiped on fork; readable by root.
    Locked,
}

/// How secrets are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryReport {
    /// `secretmem` or `locked`.
    pub kind: &'static str,
    /// Bytes of secret memory: slots, scratch stacks and buffers.
    pub bytes: u64,
    /// Secrets that there is room for without growing.
    pub slots: usize,
    /// Secrets that exist.
    pub slots_used: usize,
}

pub(crate) struct Memory {
    kind: Kind,
    deep_stacks: Stacks,
    shallow_stacks: Stacks,
    kem_stacks: Stacks,
    free: Mutex<Vec<Slot>>,
    slots: AtomicUsize,
    /// Where secret memory lies, so that nobody looks for residue there.
    ranges: Mutex<Vec<Range<u64>>>,
}

type Stacks = Box<[Mutex<Stack>]>;

static MEMORY: OnceLock<Memory> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

thread_local! {
    /// Whether this thread is on a scratch stack.
    static ON_STACK: Cell<bool> = const { Cell::new(false) };
    /// The scratch stack that this thread tries first.
    static FIRST_STACK: usize = {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let stacks = MEMORY.get().map_or(1, |memory| memory.deep_stacks.len());
        NEXT.fetch_add(1, Ordering::Relaxed) % stacks
    };
}

/// Sets up secret memory of the chosen kind with room for `slots` secrets, all of it present.
///
/// # Errors
/// [`SecretError`]: what the system does not give, or that it was set up before.
pub fn start(choice: SecretMemory, slots: usize) -> Result<MemoryReport, SecretError> {
    let _starting = lock(&STARTING);
    if MEMORY.get().is_some() {
        return Err(SecretError::AlreadyStarted);
    }
    let memory = Memory::new(choice, slots)?;
    Ok(MEMORY.get_or_init(|| memory).report())
}

/// Runs `work` on a scratch stack in secret memory; stack and registers are wiped before this
/// returns. Inside another such scope it is part of that one. What leaves `work` must not be secret.
///
/// # Errors
/// [`SecretError`] when there is no secret memory.
pub fn scoped<R>(work: impl FnOnce() -> R) -> Result<R, SecretError> {
    Ok(Memory::get()?.scoped(work))
}

/// The same on a stack that is deep enough for a key encapsulation (X-Wing, that is ML-KEM-768 and X25519). Always a
/// stack of its own, in a scope or not: so it must not run inside another such call.
///
/// # Errors
/// [`SecretError`] when there is no secret memory.
pub fn scoped_for_kem<R>(work: impl FnOnce() -> R) -> Result<R, SecretError> {
    let memory = Memory::get()?;
    Ok(run(&mut any_of(&memory.kem_stacks), Reach::WHOLE, work))
}

/// How many bytes of such a stack `work` uses, and how many it has.
///
/// # Errors
/// [`SecretError`] when there is no secret memory.
pub fn measure_for_kem(work: impl FnMut()) -> Result<(usize, usize), SecretError> {
    let mut stack = any_of(&Memory::get()?.kem_stacks);
    Ok((measure_on(&mut stack, work).bytes(), stack.len()))
}

/// The same for a stack of [`scoped`], on which a secret is exposed.
///
/// # Errors
/// [`SecretError`] when there is no secret memory.
pub fn measure_scoped(work: impl FnMut()) -> Result<(usize, usize), SecretError> {
    let mut stack = any_of(&Memory::get()?.deep_stacks);
    Ok((measure_on(&mut stack, work).bytes(), stack.len()))
}

impl MemoryReport {
    /// How the secrets of this process are held now. `None` before the first.
    pub fn now() -> Option<Self> {
        MEMORY.get().map(Memory::report)
    }
}

impl Memory {
    /// The process's secret memory, set up with the defaults where nobody did before.
    pub(crate) fn get() -> Result<&'static Self, SecretError> {
        if let Some(memory) = MEMORY.get() {
            return Ok(memory);
        }
        match start(SecretMemory::Auto, MIN_SLOTS) {
            Ok(_) | Err(SecretError::AlreadyStarted) => MEMORY.get().ok_or(SecretError::AlreadyStarted),
            Err(error) => Err(error),
        }
    }

    /// The same, where there is a secret already.
    pub(crate) fn of_secrets() -> &'static Self {
        MEMORY.get().unwrap_or_else(|| unreachable!("a secret lies in secret memory"))
    }

    fn new(choice: SecretMemory, slots: usize) -> Result<Self, SecretError> {
        let kind = match choice {
            SecretMemory::Locked => Kind::Locked,
            SecretMemory::Auto | SecretMemory::Secretmem => match Map::new(1, Kind::Secretmem) {
                Err(error) if is_missing(&error) && choice == SecretMemory::Auto => Kind::Locked,
                Err(error) if is_missing(&error) => return Err(SecretError::NoSecretmem(error)),
                // Out of memory, say: then what follows says so.
                _ => Kind::Secretmem,
            },
        };
        let cores = thread::available_parallelism().map_or(1, usize::from);
        let count = (cores + 4).min(32);
        let (deep_stacks, shallow_stacks) =
            (new_stacks(kind, Depth::Deep, count)?, new_stacks(kind, Depth::Shallow, count)?);
        let kem_stacks = new_stacks(kind, Depth::Kem, KEM_STACKS)?;
        let stacks = deep_stacks.iter().chain(&shallow_stacks).chain(&kem_stacks);
        let ranges = stacks.map(|stack| lock(stack).addresses()).collect();
        let memory = Self {
            kind,
            deep_stacks,
            shallow_stacks,
            kem_stacks,
            free: Mutex::default(),
            slots: AtomicUsize::new(0),
            ranges: Mutex::new(ranges),
        };
        memory.grow(&mut lock(&memory.free), slots.max(MIN_SLOTS))?;
        Ok(memory)
    }

    fn grow(&self, free: &mut Vec<Slot>, slots: usize) -> Result<(), SecretError> {
        let map = self.map(slots * SLOT_ROOM)?;
        let mut carved: Vec<Slot> = Slot::carve(map).collect();
        self.slots.fetch_add(carved.len(), Ordering::Relaxed);
        carved.reverse();
        // Room for all, so that giving a slot back never allocates.
        free.reserve(self.slots.load(Ordering::Relaxed));
        free.append(&mut carved);
        Ok(())
    }

    /// More secret memory, known to those who look for residue.
    pub(crate) fn map(&self, len: usize) -> Result<Map, SecretError> {
        let map = Map::new(len, self.kind).map_err(no_memory(len))?;
        lock(&self.ranges).push(map.addresses());
        Ok(map)
    }

    /// Says that a mapping made by [`Memory::map`] is about to go.
    pub(crate) fn unmap(&self, map: &Map) {
        lock(&self.ranges).retain(|range| *range != map.addresses());
    }

    /// A slot of zeros.
    pub(crate) fn lend(&self) -> Result<Slot, SecretError> {
        let mut free = lock(&self.free);
        if free.is_empty() {
            self.grow(&mut free, self.slots.load(Ordering::Relaxed).max(MIN_SLOTS))?;
        }
        // Only where growing gave nothing, which it says itself.
        free.pop().ok_or(SecretError::AlreadyStarted)
    }

    /// Takes a wiped slot back.
    pub(crate) fn take_back(&self, slot: Slot) {
        lock(&self.free).push(slot);
    }

    /// See [`scoped`].
    pub(crate) fn scoped<R>(&self, work: impl FnOnce() -> R) -> R {
        if ON_STACK.get() {
            return work();
        }
        run(&mut any_of(&self.deep_stacks), Reach::WHOLE, work)
    }

    /// A scratch stack for a cipher.
    pub(crate) fn shallow_stack(&self) -> MutexGuard<'_, Stack> {
        any_of(&self.shallow_stacks)
    }

    pub(crate) fn ranges(&self) -> Vec<Range<u64>> {
        lock(&self.ranges).clone()
    }

    /// Scratch stacks that are idle but not wiped, and bytes of those that were looked at.
    pub(crate) fn look_at_stacks(&self) -> (usize, u64) {
        let stacks = self.deep_stacks.iter().chain(&self.shallow_stacks).chain(&self.kem_stacks);
        let idle = stacks.filter_map(try_lock);
        idle.fold((0, 0), |(dirty, bytes), stack| {
            let range = stack.addresses();
            (dirty + usize::from(!stack.is_wiped()), bytes + (range.end - range.start))
        })
    }

    fn report(&self) -> MemoryReport {
        let bytes = lock(&self.ranges).iter().map(|range| range.end - range.start).sum();
        let slots = self.slots.load(Ordering::Relaxed);
        MemoryReport {
            kind: match self.kind {
                Kind::Secretmem => "secretmem",
                Kind::Locked => "locked",
            },
            bytes,
            slots,
            slots_used: slots - lock(&self.free).len(),
        }
    }
}

fn new_stacks(kind: Kind, depth: Depth, count: usize) -> Result<Stacks, SecretError> {
    let stacks = (0..count).map(|_| Stack::new(kind, depth).map(Mutex::new));
    stacks.collect::<io::Result<_>>().map_err(no_memory(32 * 1024))
}

/// The stack that this thread had before if it is free, else any, else a wait.
fn any_of(stacks: &Stacks) -> MutexGuard<'_, Stack> {
    let first = &stacks[FIRST_STACK.with(|first| *first) % stacks.len()];
    let free = try_lock(first).or_else(|| stacks.iter().find_map(try_lock));
    free.unwrap_or_else(|| lock(first))
}

/// Runs `work` on `stack`, whether or not this thread is on another one.
pub(crate) fn run<R>(stack: &mut Stack, reach: Reach, work: impl FnOnce() -> R) -> R {
    let before = ON_STACK.replace(true);
    let outcome = stack.run(reach, work);
    ON_STACK.set(before);
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// How far down on a scratch stack for ciphers `work` gets, where a scope in it is part of it.
pub(crate) fn measure(work: impl FnMut()) -> Result<Reach, SecretError> {
    Ok(measure_on(&mut Memory::get()?.shallow_stack(), work))
}

fn measure_on(stack: &mut Stack, work: impl FnMut()) -> Reach {
    let before = ON_STACK.replace(true);
    let outcome = stack.measure(work);
    ON_STACK.set(before);
    outcome.unwrap_or_else(|panic| resume_unwind(panic))
}

/// A lock that nobody holds.
fn try_lock<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(guard)) => Some(guard.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

/// A panic elsewhere leaves what these locks guard whole: go on with it.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether the kernel has no memfd_secret, or a filter forbids it.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EACCES))
}

/// A mapping that failed: at the limit on locked memory, or for another reason.
fn no_memory(len: usize) -> impl FnOnce(io::Error) -> SecretError {
    move |source| {
        let limit = getrlimit(Resource::Memlock).current;
        match (source.raw_os_error(), limit) {
            (Some(libc::EAGAIN | libc::ENOMEM | libc::EPERM), Some(limit)) => {
                SecretError::Limit { wanted_kib: len.div_ceil(1024) as u64, limit_kib: limit / 1024 }
            }
            _ => SecretError::System { action: "map memory for secrets", source },
        }
    }
}
