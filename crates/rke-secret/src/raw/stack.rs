//! A scratch stack in secret memory. What runs on it leaves its frames there, and they are wiped.

use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use zeroize::{Zeroize, optimization_barrier};

use super::map::{Kind, Map};
use super::registers;
use super::system::signals_taken;

/// How deep a stack is, in the order in which a thread may take them. Unoptimised code has deeper frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Depth {
    /// For whatever works on secrets.
    Deep,
    /// For a key encapsulation: ML-KEM keeps its matrix and its vectors of polynomials on the stack.
    Kem,
    /// For a cipher, of which the deepest needs 5 KiB, with a signal on top, whose frame has 3 to 4 KiB, or with a
    /// panic, which unwinds on it.
    Shallow,
    /// To tell of a panic, with a backtrace perhaps.
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
    /// To the end of any stack.
    pub(crate) const WHOLE: Self = Self(usize::MAX);

    /// Added to what was measured, because the frames of the code around the work differ from place to place.
    const ALLOWANCE: usize = 256;

    /// What is wiped is whole lines of the cache.
    const STEP: usize = 64;

    /// In bytes.
    pub(crate) fn bytes(self) -> usize {
        self.0
    }

    fn measured(reached: usize) -> Self {
        Self((reached + Self::ALLOWANCE).next_multiple_of(Self::STEP))
    }
}

/// Below a reach so much is looked at after each run. If it was written to, the measure was wrong.
const MARGIN: usize = 256;

/// What a stack is filled with to see how far down something gets, or what is copied from it unwritten.
const PAINT: u8 = 0xA5;

/// A scratch stack, all zero between two runs.
pub(crate) struct Stack {
    map: Map,
    depth: Depth,
    /// Signals that had been taken when it was wiped last.
    signals: Option<u64>,
}

impl Stack {
    pub(crate) fn new(kind: Kind, depth: Depth) -> io::Result<Self> {
        Ok(Self::over(Map::new(depth.len(), kind)?, depth))
    }

    /// One that is made of a mapping of zeros.
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

    /// The page below it, into which nobody may write.
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

    /// Wipes what should not be on it.
    pub(crate) fn clear(&mut self) {
        self.map.bytes_mut().zeroize();
    }

    /// Runs `work`, which does not get further down than `reach`, on this stack, then wipes registers and stack. A
    /// panic comes back as an error.
    pub(crate) fn run<R>(&mut self, reach: Reach, work: impl FnOnce() -> R) -> thread::Result<R> {
        // On a report's stack nothing has been, and it has no secret.
        #[cfg(feature = "controls")]
        if self.depth != Depth::Report && crate::control::is_on(crate::control::Control::Paint) {
            self.paint();
        }
        let outcome = self.run_unwiped(work);
        // A panic gets deeper down.
        self.wipe(if outcome.is_ok() { reach } else { Reach::WHOLE });
        outcome
    }

    /// How far down `work` gets, with an allowance.
    pub(crate) fn measure(&mut self, mut work: impl FnMut()) -> thread::Result<Reach> {
        let mut least = self.map.bytes().len();
        // The least of three, because one may have met a signal, whose frame is measured with it.
        for _ in 0..3 {
            self.paint();
            let outcome = self.run_unwiped(&mut work);
            least = least.min(self.reached());
            self.wipe(Reach::WHOLE);
            outcome?;
        }
        Ok(Reach::measured(least))
    }

    fn paint(&mut self) {
        self.map.bytes_mut().fill(PAINT);
    }

    /// How far down the paint has gone.
    fn reached(&self) -> usize {
        let bytes = self.map.bytes();
        bytes.len() - bytes.iter().take_while(|byte| **byte == PAINT).count()
    }

    /// Wipes the registers while still on the stack, so that nothing spills them elsewhere. What `work` gives leaves the
    /// stack by itself: in a `Result`, what fills that up would come along, and be what was left on the stack.
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
        // SAFETY: page-aligned memory of whole pages that nothing else uses during the call, with
        // guard pages around it; panics are caught inside, so nothing unwinds out of it.
        unsafe { psm::on_stack(bytes.as_mut_ptr(), bytes.len(), work) };
        match panic {
            Some(payload) => Err(payload),
            // SAFETY: without a panic, `work` has written it.
            None => Ok(unsafe { given.assume_init() }),
        }
    }

    /// Wiping is most of what a short use of a key costs, so what lies below `reach` is wiped only where a signal was
    /// taken, which leaves a frame with the registers in it, or where the margin shows that the measure was wrong.
    /// The measure is what counts: a margin does not show what passes over it.
    fn wipe(&mut self, reach: Reach) {
        #[cfg(feature = "controls")]
        if crate::control::is_on(crate::control::Control::KeepStack) {
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
            // The look has taken what it found into them.
            registers::wipe();
        }
        optimization_barrier(self.map.bytes());
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;

    use nix::sys::signal::raise;

    use super::*;
    use crate::process::{STANDSTILL_SIGNAL, block_signals};
    use crate::raw::install_standstill;

    const KIB: usize = 1024;

    /// Does `work` so far down, and touches nothing between.
    #[inline(never)]
    fn down<const LEN: usize>(work: impl FnOnce()) {
        let mut gap = MaybeUninit::<[u8; LEN]>::uninit();
        black_box(&mut gap);
        work();
        black_box(&gap);
    }

    /// Leaves a byte on the stack.
    #[inline(never)]
    fn leave(byte: u8) {
        black_box(&mut [byte]);
    }

    fn stack() -> Stack {
        block_signals().expect("signals to be blocked");
        let mut stack = Stack::new(Kind::Locked, Depth::Deep).expect("a stack");
        assert!(stack.run(Reach::WHOLE, || down::<{ 20 * KIB }>(|| leave(1))).is_ok());
        assert!(stack.is_wiped());
        stack
    }

    #[test]
    fn a_measure_covers_what_was_reached() {
        let mut stack = stack();
        let Ok(Reach(reached)) = stack.measure(|| down::<{ 8 * KIB }>(|| leave(1))) else {
            panic!("measured")
        };
        assert!((8 * KIB..12 * KIB).contains(&(reached - Reach::ALLOWANCE)), "{reached}");
        assert!(stack.is_wiped());
        // Zeros count as well.
        assert!(stack.measure(|| down::<{ 8 * KIB }>(|| leave(0))).is_ok_and(|reach| reach.0 >= reached));
    }

    #[test]
    fn what_gets_deeper_than_measured_is_wiped_too() {
        let mut stack = stack();
        let reach = stack.measure(|| down::<{ 8 * KIB }>(|| leave(1))).expect("a measure");
        assert!(stack.run(reach, || down::<{ 8 * KIB }>(|| leave(1))).is_ok());
        assert!(stack.is_wiped());
        let len = stack.map.bytes().len();
        let in_margin = Reach(reach.0 - Reach::ALLOWANCE - MARGIN / 2);
        assert!(in_margin.0 < len && stack.run(in_margin, || down::<{ 8 * KIB }>(|| leave(1))).is_ok());
        assert!(stack.is_wiped());
    }

    #[test]
    fn a_panic_has_all_of_it_wiped() {
        let mut stack = stack();
        assert!(stack.run(Reach(2 * KIB), || down::<{ 12 * KIB }>(|| panic!("far down"))).is_err());
        assert!(stack.is_wiped());
    }

    #[test]
    fn a_signal_has_all_of_it_wiped() {
        let be_interrupted = || raise(STANDSTILL_SIGNAL).expect("a signal");
        install_standstill(STANDSTILL_SIGNAL).expect("a handler");
        let mut stack = stack();
        assert!(stack.run(Reach(4 * KIB), || down::<{ 12 * KIB }>(be_interrupted)).is_ok());
        assert!(stack.is_wiped());
    }
}
