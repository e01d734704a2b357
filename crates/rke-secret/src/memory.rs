//! The process's secret memory: slots to lend, and scratch stacks to work on. It is set up once, by
//! [`start`] or with the defaults by the first secret, and grows in steps when it runs out of slots.

use std::io;
use std::ops::Range;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock};
use std::{panic, thread};

use rustix::process::{Resource, getrlimit};

use crate::SecretError;
use crate::lock::lock;
use crate::raw::{Depth, Kind, Map, Reach, SLOT_ROOM, Slot, Stack, say};
use crate::stacks::{self, Stacks, is_on_stack};

/// Slots that are there from the start, and fewest by which they grow.
const MIN_SLOTS: usize = 1024;

/// By what part of them the slots grow: secret memory is locked, so what nobody uses is missing elsewhere.
const GROWTH: usize = 4;

/// Said of a panic in place of its own message.
const NO_REPORT: &str = "rke: work on a secret panicked, and there is no memory to say where. This is a bug in rke: please \
                         report it.\n";

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
    stacks: Stacks,
    free: Mutex<Vec<Slot>>,
    slots: AtomicUsize,
    /// Where secret memory lies, so that nobody looks for residue there. Held while any is mapped or unmapped.
    ranges: Mutex<Vec<Range<u64>>>,
}

static MEMORY: OnceLock<Memory> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

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
    memory.stacks.guard().map_err(failed_to("guard the stacks of secret memory"))?;
    // A thread that panics must not touch the hook: it would end the process.
    if !thread::panicking() {
        tell_of_panics_elsewhere();
    }
    Ok(MEMORY.get_or_init(|| memory).report())
}

/// Has a panic on a scratch stack run its hook on another. The hook writes a message, and a backtrace perhaps, for which
/// no scratch stack is deep enough.
fn tell_of_panics_elsewhere() {
    let tell = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if is_on_stack() {
            Memory::of_secrets().with_report_stack(|| tell(panic));
        } else {
            tell(panic);
        }
    }));
}

/// Runs `work` on a scratch stack in secret memory; stack and registers are wiped before this
/// returns. Inside another such scope it is part of that one. What leaves `work` must not be secret.
///
/// # Errors
/// [`SecretError`] when there is no secret memory.
pub fn scoped<R>(work: impl FnOnce() -> R) -> Result<R, SecretError> {
    Ok(Memory::get()?.scoped(work))
}

/// Runs `work` in a scope as if there were none: on a stack of its own that nothing has been on. It is for making what
/// outlives the scope. The gaps between the fields of a value, and the fields that a variant of it does not have, are copied
/// with it, and on the scope's stack they are what secrets have left there. Takes microseconds, so it is not for what
/// happens all the time.
///
/// # Errors
/// [`SecretError`] when there is no secret memory left.
///
/// # Panics
/// In a scope of such work, inside a use of a [`crate::SecretHandle`], and inside [`scoped_for_kem`].
pub fn apart<R>(work: impl FnOnce() -> R) -> Result<R, SecretError> {
    if !is_on_stack() {
        return Ok(work());
    }
    stacks::expect_apart();
    let memory = Memory::of_secrets();
    let outcome = memory.with_new_stack(|stack| memory.stacks.run_apart(stack, work))?;
    Ok(outcome.unwrap_or_else(|panic| resume_unwind(panic)))
}

/// [`scoped`] on a stack that is deep enough for a key encapsulation (X-Wing, that is ML-KEM-768 and X25519). Always a
/// stack of its own, in a scope or not.
///
/// # Errors
/// [`SecretError`] when there is no secret memory.
///
/// # Panics
/// Inside another such call, and inside a use of a [`crate::SecretHandle`].
pub fn scoped_for_kem<R>(work: impl FnOnce() -> R) -> Result<R, SecretError> {
    Ok(stacks::run(&mut Memory::get()?.stacks.take(Depth::Kem), Reach::WHOLE, work))
}

/// How many bytes of such a stack `work` uses, and how many it has.
///
/// # Errors
/// [`SecretError`] when there is no secret memory.
///
/// # Panics
/// As [`scoped_for_kem`].
pub fn measure_for_kem(work: impl FnMut()) -> Result<(usize, usize), SecretError> {
    let mut stack = Memory::get()?.stacks.take(Depth::Kem);
    Ok((stacks::measure(&mut stack, work).bytes(), stack.len()))
}

/// The same for a stack of [`scoped`], on which a secret is exposed.
///
/// # Errors
/// [`SecretError`] when there is no secret memory.
///
/// # Panics
/// Inside any scope.
pub fn measure_scoped(work: impl FnMut()) -> Result<(usize, usize), SecretError> {
    let mut stack = Memory::get()?.stacks.take(Depth::Deep);
    Ok((stacks::measure(&mut stack, work).bytes(), stack.len()))
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
        let stacks = Stacks::new(kind).map_err(no_memory(32 * 1024))?;
        let ranges = Mutex::new(stacks.addresses());
        let memory = Self { kind, stacks, free: Mutex::default(), slots: AtomicUsize::new(0), ranges };
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
        let mut ranges = self.ranges();
        let map = Map::new(len, self.kind).map_err(no_memory(len))?;
        ranges.push(map.addresses());
        Ok(map)
    }

    /// Wipes and unmaps what [`Memory::map`] gave.
    pub(crate) fn unmap(&self, map: Map) {
        let mut ranges = self.ranges();
        ranges.retain(|range| *range != map.addresses());
        drop(map);
    }

    /// A slot of zeros.
    pub(crate) fn lend(&self) -> Result<Slot, SecretError> {
        let mut free = lock(&self.free);
        if free.is_empty() {
            self.grow(&mut free, (self.slots.load(Ordering::Relaxed) / GROWTH).max(MIN_SLOTS))?;
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
        if is_on_stack() {
            return work();
        }
        stacks::run(&mut self.stacks.take(Depth::Deep), Reach::WHOLE, work)
    }

    /// A scratch stack for a cipher.
    ///
    /// # Panics
    /// On such a stack.
    pub(crate) fn shallow_stack(&self) -> MutexGuard<'_, Stack> {
        self.stacks.take(Depth::Shallow)
    }

    /// Runs `tell`, which says something of a panic, on a stack that is deep enough for that, and made for it.
    pub(crate) fn with_report_stack(&self, tell: impl FnOnce()) {
        // A panic in here ends the process by itself.
        if self.with_new_stack(|stack| stack.run(Reach::WHOLE, tell)).is_err() {
            say(NO_REPORT);
        }
    }

    /// A stack for one use, as deep as a report needs, that nothing has been on.
    fn with_new_stack<R>(&self, work: impl FnOnce(&mut Stack) -> R) -> Result<R, SecretError> {
        let mut stack = Stack::over(self.map(Depth::Report.len())?, Depth::Report);
        let done = work(&mut stack);
        self.unmap(stack.into_map());
        Ok(done)
    }

    /// Where secret memory lies. Until this is dropped none is mapped, and none unmapped.
    pub(crate) fn ranges(&self) -> MutexGuard<'_, Vec<Range<u64>>> {
        lock(&self.ranges)
    }

    /// See [`Stacks::clear_idle`].
    pub(crate) fn clear_idle_stacks(&self) -> (u64, u64) {
        self.stacks.clear_idle()
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

/// Whether the kernel has no memfd_secret, or a filter forbids it.
fn is_missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOSYS | libc::EPERM | libc::EACCES))
}

fn failed_to(action: &'static str) -> impl FnOnce(io::Error) -> SecretError {
    move |source| SecretError::System { action, source }
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
