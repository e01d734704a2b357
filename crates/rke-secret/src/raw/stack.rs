//! A scratch stack in secret memory. What runs on it leaves its frames there, and they are wiped.

use std::io;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use zeroize::optimization_barrier;

use super::map::{Kind, Map};
use super::registers;

/// How deep a stack is. All of it is wiped after each run, so depth costs time. Unoptimised code has
/// deeper frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// For a cipher, of which the deepest needs 5 KiB, with a signal on top, whose frame has 3 to 4 KiB. No
    /// more, because wiping is most of what a short use of a key costs. Telling of a panic would need more, and
    /// end the program at the guard page: what runs here has none.
    Shallow,
    /// For whatever else works on secrets.
    Deep,
}

impl Depth {
    const fn len(self) -> usize {
        match self {
            _ if cfg!(debug_assertions) => 128 * 1024,
            Self::Shallow => 12 * 1024,
            Self::Deep => 32 * 1024,
        }
    }
}

/// A scratch stack, all zero between two runs.
pub(crate) struct Stack(Map);

impl Stack {
    pub(crate) fn new(kind: Kind, depth: Depth) -> io::Result<Self> {
        Ok(Self(Map::new(depth.len(), kind)?))
    }

    pub(crate) fn addresses(&self) -> Range<u64> {
        self.0.addresses()
    }

    /// Whether nothing is on it, as it must be between two runs.
    pub(crate) fn is_wiped(&self) -> bool {
        self.0.bytes().iter().all(|byte| *byte == 0)
    }

    /// Runs `work` on this stack, then wipes registers and stack, in this order: the registers
    /// while still here, so that nothing spills them elsewhere. A panic comes back as an error.
    pub(crate) fn run<R>(&mut self, work: impl FnOnce() -> R) -> thread::Result<R> {
        let bytes = self.0.bytes_mut();
        let work = || {
            let outcome = catch_unwind(AssertUnwindSafe(work));
            registers::wipe();
            outcome
        };
        // SAFETY: page-aligned memory of whole pages that nothing else uses during the call, with
        // guard pages around it; panics are caught inside, so nothing unwinds out of it.
        let outcome = unsafe { psm::on_stack(bytes.as_mut_ptr(), bytes.len(), work) };
        self.wipe();
        outcome
    }

    #[cfg(not(feature = "controls"))]
    fn wipe(&mut self) {
        self.0.bytes_mut().fill(0);
        optimization_barrier(self.0.bytes());
    }

    #[cfg(feature = "controls")]
    fn wipe(&mut self) {
        if !crate::control::is_on(crate::control::Control::KeepStack) {
            self.0.bytes_mut().fill(0);
            optimization_barrier(self.0.bytes());
        }
    }
}
