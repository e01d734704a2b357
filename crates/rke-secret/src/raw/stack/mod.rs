//! A scratch stack in secret memory. Code that runs on it leaves its frames there, and they are wiped.

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use zeroize::{Zeroize, optimization_barrier};

use super::map::{Kind, Map};
use super::registers;
use super::system::signals_taken;

/// How deep a stack is, in the lock order: a thread may only take a later one. Unoptimised code has deeper frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// For any work on secrets.
    Deep,
    /// For a key encapsulation: ML-KEM keeps its matrix and its vectors of polynomials on the stack.
    Kem,
    /// For a cipher, the deepest of which needs 5 KiB, plus a signal, whose frame has 3 to 4 KiB, or a
    /// panic, which unwinds on it.
    Shallow,
    /// To report a panic, perhaps with a backtrace.
    Report,
}

impl Depth {
    pub(crate) const fn len(self) -> usize {
        match self {
            Self::Report => 256 * 1024,
            Self::Kem if cfg!(debug_assertions) => 512 * 1024,
            Self::Kem => 128 * 1024,
            _ if cfg!(debug_assertions) => 128 * 1024,
            Self::Shallow => 12 * 1024,
            Self::Deep => 32 * 1024,
        }
    }
}

/// How far down a stack some work gets: bytes from its top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reach(usize);

impl Reach {
    /// Any stack down to its end.
    pub(crate) const WHOLE: Self = Self(usize::MAX);

    /// Added to the measurement, because the frames of the surrounding code differ from call to call.
    const ALLOWANCE: usize = 256;

    /// Wiping covers whole cache lines.
    const STEP: usize = 64;

    /// In bytes.
    pub(crate) fn bytes(self) -> usize {
        self.0
    }

    fn with_allowance(reached: usize) -> Self {
        Self((reached + Self::ALLOWANCE).next_multiple_of(Self::STEP))
    }
}

/// That much below a reach is checked after each run. If it was written to, the measurement was wrong.
const MARGIN: usize = 256;

/// Fills a stack to show how far down some work gets, or which unwritten bytes are copied from it.
const PAINT: u8 = 0xA5;

/// A scratch stack, all zero between two runs.
pub(crate) struct Stack {
    map: Map,
    depth: Depth,
    /// The count of received signals when it was wiped last.
    signals: Option<u64>,
}

impl Stack {
    pub(crate) fn new(kind: Kind, depth: Depth) -> io::Result<Self> {
        Ok(Self::over(Map::new(depth.len(), kind)?, depth))
    }

    /// A stack in a mapping of zeros.
    pub(crate) fn over(map: Map, depth: Depth) -> Self {
        Self { map, depth, signals: None }
    }

    pub(crate) fn into_map(self) -> Map {
        self.map
    }

    pub(crate) fn depth(&self) -> Depth {
        self.depth
    }

    pub(crate) fn addresses(&self) -> Range<u64> {
        self.map.addresses()
    }

    /// The guard page below it.
    pub(crate) fn guard(&self) -> Range<u64> {
        self.map.guard()
    }

    /// How deep it is, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.map.bytes().len()
    }

    /// Whether nothing is on it, as it must be between two runs.
    pub(crate) fn is_wiped(&self) -> bool {
        self.map.bytes().iter().all(|byte| *byte == 0)
    }

    /// Wipes all of it.
    pub(crate) fn clear(&mut self) {
        self.map.bytes_mut().zeroize();
    }

    /// Runs `work`, which does not get further down than `reach`, on this stack, then wipes registers and stack. Returns a
    /// panic as an error.
    pub(crate) fn run<R>(&mut self, reach: Reach, work: impl FnOnce() -> R) -> thread::Result<R> {
        // A report's stack is fresh and has no secret.
        #[cfg(feature = "fault-injection")]
        if self.depth != Depth::Report
            && crate::fault_injection::is_injected(crate::fault_injection::Fault::Paint)
        {
            self.paint();
        }
        let outcome = self.run_unwiped(work);
        // A panic goes deeper.
        self.wipe(if outcome.is_ok() { reach } else { Reach::WHOLE });
        outcome
    }

    /// How far down `work` gets, with an allowance.
    pub(crate) fn measure(&mut self, mut work: impl FnMut()) -> thread::Result<Reach> {
        let mut least = self.map.bytes().len();
        // The least of three, because a signal's frame may have been measured too.
        for _ in 0..3 {
            self.paint();
            let outcome = self.run_unwiped(&mut work);
            least = least.min(self.painted_over());
            self.wipe(Reach::WHOLE);
            outcome?;
        }
        Ok(Reach::with_allowance(least))
    }

    /// Byte by byte: a fill keeps a run of paint in a vector register, where a scan that stops the thread in the middle
    /// of it would take the run for a copy.
    fn paint(&mut self) {
        for byte in self.map.bytes_mut() {
            // SAFETY: a reference to a byte is valid for writes and aligned.
            unsafe { std::ptr::write_volatile(byte, PAINT) };
        }
    }

    /// How far down the paint has been overwritten.
    fn painted_over(&self) -> usize {
        let bytes = self.map.bytes();
        bytes.len() - bytes.iter().take_while(|byte| **byte == PAINT).count()
    }

    /// Wipes the registers while still on the stack, so that nothing spills them elsewhere. The result of `work` leaves the
    /// stack on its own: in a `Result`, the padding would be copied too, with remains of the stack.
    fn run_unwiped<R>(&mut self, work: impl FnOnce() -> R) -> thread::Result<R> {
        let bytes = self.map.bytes_mut();
        let (mut given, mut panic) = (MaybeUninit::uninit(), None);
        let work = || {
            match catch_unwind(AssertUnwindSafe(work)) {
                Ok(value) => {
                    given.write(value);
                }
                Err(payload) => panic = Some(payload),
            }
            registers::wipe();
        };
        // SAFETY: page-aligned memory of whole pages that nothing else uses during the call, between
        // guard pages; panics are caught inside, so nothing unwinds out of it.
        unsafe { psm::on_stack(bytes.as_mut_ptr(), bytes.len(), work) };
        match panic {
            Some(payload) => Err(payload),
            // SAFETY: without a panic, `work` has written it.
            None => Ok(unsafe { given.assume_init() }),
        }
    }

    /// Wiping is most of the cost of a short use of a key, so the part below `reach` is wiped only if a signal was
    /// received, which leaves a frame with the registers in it, or if the margin shows that the measurement was wrong.
    /// The measurement has to be right: a write that skips the margin does not show.
    fn wipe(&mut self, reach: Reach) {
        #[cfg(feature = "fault-injection")]
        if crate::fault_injection::is_injected(crate::fault_injection::Fault::KeepStack) {
            return;
        }
        let signals = signals_taken();
        let is_interrupted = signals.is_none() || signals != self.signals;
        self.signals = signals;
        let bytes = self.map.bytes_mut();
        let (below, reached) = bytes.split_at_mut(bytes.len().saturating_sub(reach.0));
        reached.fill(0);
        let margin = &below[below.len().saturating_sub(MARGIN)..];
        if is_interrupted || margin.iter().fold(0, |all, byte| all | byte) != 0 {
            below.fill(0);
            // The check has read the margin into them.
            registers::wipe();
        }
        optimization_barrier(self.map.bytes());
    }
}

#[cfg(test)]
mod tests;
