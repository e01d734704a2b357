use std::hint::black_box;

use nix::sys::signal::raise;

use super::*;
use crate::process::{STANDSTILL_SIGNAL, block_signals};
use crate::raw::install_standstill;

const KIB: usize = 1024;

/// Runs `work` that far down, and touches nothing between.
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
    let Ok(Reach(reached)) = stack.measure(|| down::<{ 8 * KIB }>(|| leave(1))) else { panic!("measured") };
    assert!((8 * KIB..12 * KIB).contains(&(reached - Reach::ALLOWANCE)), "{reached}");
    assert!(stack.is_wiped());
    // Zeros count as well.
    assert!(stack.measure(|| down::<{ 8 * KIB }>(|| leave(0))).is_ok_and(|reach| reach.0 >= reached));
}

#[test]
fn work_deeper_than_measured_is_wiped_too() {
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
fn a_panic_wipes_all_of_it() {
    let mut stack = stack();
    assert!(stack.run(Reach(2 * KIB), || down::<{ 12 * KIB }>(|| panic!("far down"))).is_err());
    assert!(stack.is_wiped());
}

#[test]
fn a_signal_wipes_all_of_it() {
    let be_interrupted = || raise(STANDSTILL_SIGNAL).expect("a signal");
    install_standstill(STANDSTILL_SIGNAL).expect("a handler");
    let mut stack = stack();
    assert!(stack.run(Reach(4 * KIB), || down::<{ 12 * KIB }>(be_interrupted)).is_ok());
    assert!(stack.is_wiped());
}
