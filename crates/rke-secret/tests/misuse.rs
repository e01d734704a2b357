//! Misuse of secrets by safe code: it ends in a panic or aborts the process, with a message, and never in
//! an endless wait or a stray write. Each test runs itself again as a child process.

#![allow(clippy::expect_used, reason = "these are tests")]

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::process::{Command, ExitStatus};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use rke_secret::memory_scan::Fingerprint;
use rke_secret::process::block_signals;
use rke_secret::{Secret, SecretHandle, StackUse, measure_for_kem, measure_scoped, scoped, scoped_for_kem};

/// Set in a child process.
const CHILD: &str = "RKE_SECRET_MISUSE";

/// Printed by a child that has run to its end.
const DONE: &str = "came to the end";

struct Ended {
    status: ExitStatus,
    said: String,
}

impl Ended {
    #[track_caller]
    fn assert_killed_by(&self, signal: Signal, message: &str) {
        assert_eq!(self.status.signal(), Some(signal as i32), "{}", self.said);
        assert!(self.said.contains(message) && !self.said.contains(DONE), "{}", self.said);
    }

    #[track_caller]
    fn assert_went_on_after(&self, message: &str) {
        assert!(self.status.success(), "{:?}: {}", self.status, self.said);
        assert!(self.said.contains(message) && self.said.contains(DONE), "{}", self.said);
    }
}

/// Runs `misuse` in a process of its own, which is this test again. In that process, returns `None`.
fn in_child(test: &str, misuse: impl FnOnce()) -> Option<Ended> {
    if std::env::var_os(CHILD).is_some() {
        misuse();
        eprintln!("{DONE}");
        return None;
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]);
    let output = command.env(CHILD, "1").env("RUST_BACKTRACE", "1").output().expect("a child process");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Some(Ended { status: output.status, said })
}

fn secret() -> Secret<32> {
    Secret::random().expect("a secret")
}

/// Uses a secret through a handle.
fn visit<const N: usize>(secret: &Secret<N>, work: impl FnOnce()) {
    secret.handle().expose(|_| work()).expect("a visit");
}

/// The panic of `misuse`, which must be one.
fn panic_of(misuse: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(misuse)).expect_err("no panic");
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).expect("a message")
}

/// Uses up the stack.
fn overflow(depth: u64) -> u64 {
    if black_box(depth) == u64::MAX { 0 } else { black_box(overflow(depth + 1)) + 1 }
}

#[test]
fn a_copied_secret_ends_the_process() {
    let ended = in_child("a_copied_secret_ends_the_process", || {
        let secret = secret();
        let copy = secret.expose(|secret| secret.to_vec());
        let mut fingerprint = Fingerprint::new().expect("a salt");
        fingerprint.add(&secret);
        drop(secret);
        let _ = fingerprint.scan_memory();
        black_box(copy);
    });
    if let Some(ended) = ended {
        ended.assert_killed_by(
            Signal::SIGABRT,
            "a secret that should be gone still lies in this process's memory",
        );
    }
}

#[test]
fn a_scan_finds_no_trace_of_a_wiped_secret() {
    let ended = in_child("a_scan_finds_no_trace_of_a_wiped_secret", || {
        block_signals().expect("signals to be blocked");
        let (secret, kept) = (secret(), secret());
        let mut fingerprint = Fingerprint::new().expect("a salt");
        fingerprint.add(&secret);
        // This one is still in secret memory, which the scan leaves out.
        fingerprint.add(&kept);
        drop(secret);
        let scan = fingerprint.scan_memory().expect("a scan");
        assert!(scan.hits == 0 && scan.scanned_bytes > 1_000_000, "{scan:?}");
    });
    if let Some(ended) = ended {
        ended.assert_went_on_after("");
    }
}

#[test]
fn visits_in_visits_panic() {
    fn nest(secrets: &[Secret<32>]) {
        if let Some((first, rest)) = secrets.split_first() {
            visit(first, || nest(rest));
        }
    }
    let ended = in_child("visits_in_visits_panic", || {
        let secrets: Vec<_> = (0..40).map(|_| secret()).collect();
        let panic = panic_of(|| nest(&secrets));
        assert!(
            panic.contains("a visit to a secret through a handle cannot begin inside a visit"),
            "{panic}"
        );
        // The secrets are still usable.
        assert!(secrets.iter().all(|secret| secret.handle().expose(|_| ()).is_some()));
    });
    if let Some(ended) = ended {
        ended.assert_went_on_after("cannot begin inside a visit");
    }
}

#[test]
fn no_thread_waits_for_a_stack_that_it_holds() {
    let ended = in_child("no_thread_waits_for_a_stack_that_it_holds", || {
        let secret = secret();
        let visit = |work: &dyn Fn()| visit(&secret, work);
        let in_kem = |work: &dyn Fn()| scoped_for_kem(work).expect("secret memory");
        let kem = || in_kem(&|| ());
        let measured_visit = || drop(StackUse::measure(|| visit(&|| ())));
        for misuse in [
            &|| in_kem(&kem) as (),
            &|| in_kem(&|| drop(measure_for_kem(|| ()))),
            &|| drop(measure_for_kem(kem)),
            &|| visit(&kem),
            &|| visit(&|| drop(StackUse::measure(|| ()))),
            &|| visit(&|| drop(measure_scoped(|| ()))),
            &|| drop(measure_scoped(|| drop(measure_scoped(|| ())))),
            &measured_visit,
        ] as [&dyn Fn(); 8]
        {
            let panic = panic_of(misuse);
            assert!(panic.contains("cannot begin inside"), "{panic}");
        }
        // Following the order of stacks works.
        scoped(|| in_kem(&|| visit(&|| scoped(|| ()).expect("secret memory")))).expect("secret memory");
    });
    if let Some(ended) = ended {
        ended.assert_went_on_after("");
    }
}

#[test]
fn dropping_a_secret_in_its_own_visit_ends_the_process() {
    let ended = in_child("dropping_a_secret_in_its_own_visit_ends_the_process", || {
        let secret = secret();
        secret.handle().expose(|_| drop(secret));
    });
    if let Some(ended) = ended {
        ended.assert_killed_by(Signal::SIGABRT, "a secret was dropped in a use of a secret through a handle");
    }
}

#[test]
fn dropping_secrets_in_visits_to_each_other_ends_the_process() {
    let ended = in_child("dropping_secrets_in_visits_to_each_other_ends_the_process", || {
        let (first, second, both_visit) = (secret(), secret(), Barrier::new(2));
        let (of_first, of_second) = (first.handle(), second.handle());
        let drop_in = |handle: SecretHandle<32>, secret: Secret<32>| {
            handle.expose(|_| {
                both_visit.wait();
                drop(secret);
            });
        };
        thread::scope(|threads| {
            threads.spawn(|| drop_in(of_first, second));
            threads.spawn(|| drop_in(of_second, first));
        });
    });
    if let Some(ended) = ended {
        ended.assert_killed_by(Signal::SIGABRT, "a secret was dropped in a use of a secret through a handle");
    }
}

#[test]
fn a_visit_waits_for_visits_that_end() {
    let (own, mut other) = (secret(), secret());
    let (handle, is_visited) = (other.handle(), Barrier::new(2));
    thread::scope(|threads| {
        threads.spawn(|| {
            handle.expose(|_| {
                is_visited.wait();
                thread::sleep(Duration::from_millis(50));
            });
        });
        is_visited.wait();
        visit(&own, || other.expose_mut(|bytes| bytes.fill(1)));
    });
    assert!(other.expose(|bytes| *bytes == [1; 32]));
}

#[test]
fn writing_a_secret_in_its_own_visit_panics() {
    let ended = in_child("writing_a_secret_in_its_own_visit_panics", || {
        let mut secret = Secret::<32>::fill(|bytes| bytes.fill(5)).expect("a secret");
        let handle = secret.handle();
        let panic = panic_of(|| {
            handle.expose(|_| secret.expose_mut(|bytes| bytes.fill(6)));
        });
        assert!(panic.contains("cannot be written"), "{panic}");
        assert!(secret.expose(|bytes| *bytes == [5; 32]));
        secret.expose_mut(|bytes| bytes.fill(7));
        assert_eq!(secret.handle().expose(|bytes| *bytes == [7; 32]), Some(true));
        // Unused secrets can be written and dropped in a visit.
        visit(&secret, || drop(Secret::<32>::fill(|bytes| bytes.fill(8))));
    });
    if let Some(ended) = ended {
        ended.assert_went_on_after("cannot be written");
    }
}

#[test]
fn a_panic_in_a_visit_is_reported_with_a_backtrace_and_passed_on() {
    #[inline(never)]
    fn panics_here(at: usize) {
        black_box([0; 3])[at] = 1;
    }
    let ended = in_child("a_panic_in_a_visit_is_reported_with_a_backtrace_and_passed_on", || {
        // Without optimisation scratch stacks are deep enough for a backtrace, but not for this hook.
        let tell = take_hook();
        set_hook(Box::new(move |panic| {
            black_box(&mut [1_u8; 160 * 1024]);
            tell(panic);
        }));
        let secret = secret();
        for _ in 0..3 {
            assert!(panic_of(|| visit(&secret, || panics_here(black_box(7)))).contains("index"));
            assert!(panic_of(|| secret.expose(|_| panics_here(black_box(7)))).contains("index"));
        }
        visit(&secret, || ());
        let scan = Fingerprint::new().and_then(|nothing| nothing.scan_memory()).expect("a scan");
        assert_eq!(scan.hits, 0);
    });
    if let Some(ended) = ended {
        ended.assert_went_on_after("panics_here");
        assert_eq!(ended.said.matches("index out of bounds").count(), 6, "{}", ended.said);
    }
}

#[test]
fn running_off_a_scratch_stack_ends_the_process_with_a_message() {
    let ended = in_child("running_off_a_scratch_stack_ends_the_process_with_a_message", || {
        // As in the programs.
        block_signals().expect("signals to be blocked");
        let secret = secret();
        thread::scope(|threads| {
            threads.spawn(|| secret.handle().expose(|_| overflow(0)));
        });
    });
    if let Some(ended) = ended {
        ended.assert_killed_by(Signal::SIGSEGV, "work on a secret needs more than its scratch stack has");
    }
}

#[test]
fn overflowing_another_stack_is_reported_as_usual() {
    let ended = in_child("overflowing_another_stack_is_reported_as_usual", || {
        block_signals().expect("signals to be blocked");
        drop(secret());
        overflow(0);
    });
    if let Some(ended) = ended {
        ended.assert_killed_by(Signal::SIGABRT, "has overflowed its stack");
    }
}

#[test]
fn a_fault_that_was_sent_ends_the_process() {
    let ended = in_child("a_fault_that_was_sent_ends_the_process", || {
        block_signals().expect("signals to be blocked");
        drop(secret());
        let _ = nix::sys::signal::raise(Signal::SIGSEGV);
    });
    if let Some(ended) = ended {
        ended.assert_killed_by(Signal::SIGSEGV, "");
    }
}
