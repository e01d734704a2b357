use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::yield_now;

use super::*;

#[test]
fn fills_in_place_and_exposes_what_was_written() {
    let secret = Secret::<4>::fill(|bytes| bytes.copy_from_slice(&[1, 2, 3, 4])).expect("a secret");
    assert!(secret.expose(|bytes| bytes == &[1, 2, 3, 4]));
}

#[test]
fn unscoped_work_is_in_no_scope_and_makes_its_own() {
    use crate::stacks::is_on_stack;
    use crate::{run_unscoped, scoped};

    let secret = Secret::<32>::random().expect("a secret");
    let where_each_is = || (is_on_stack(), scoped(is_on_stack).expect("memory"));
    assert_eq!(
        run_unscoped(where_each_is).expect("memory"),
        (false, true),
        "outside a scope it changes nothing"
    );
    let within = secret.expose(|_| {
        let apart = run_unscoped(|| (where_each_is(), secret.expose(|bytes| bytes[0]))).expect("memory");
        (apart, is_on_stack())
    });
    assert_eq!(within, (((false, true), secret.expose(|bytes| bytes[0])), true));
    let panicked = std::panic::catch_unwind(|| scoped(|| run_unscoped(|| panic!("a mistake"))));
    assert!(panicked.is_err() && !is_on_stack());
    let again =
        std::panic::catch_unwind(|| scoped(|| run_unscoped(|| scoped(|| run_unscoped(|| ()).is_ok()))));
    assert!(again.is_err() && !is_on_stack());
    // More threads at one time than there are stacks, each in a scope.
    std::thread::scope(|threads| {
        for _ in 0..64 {
            threads.spawn(|| {
                let within = scoped(|| run_unscoped(|| scoped(is_on_stack)));
                assert!(matches!(within, Ok(Ok(Ok(true)))));
            });
        }
    });
    let handle = std::panic::AssertUnwindSafe(secret.handle());
    let in_a_visit = std::panic::catch_unwind(|| handle.expose(|_| run_unscoped(|| ()).is_ok()));
    assert!(in_a_visit.is_err() && !is_on_stack());
}

#[test]
fn a_failed_fill_gives_no_secret() {
    let failed = Secret::<4>::try_fill(|bytes| {
        bytes[0] = 1;
        Err(std::io::Error::other("no"))
    });
    assert_eq!(failed.err().map(|error| error.to_string()).as_deref(), Some("no"));
}

#[test]
fn a_duplicate_matches_and_lives_on_its_own() {
    let first = Secret::<32>::random().expect("a secret");
    let second = first.duplicate().expect("a secret");
    assert!(first.matches(&second));
    let mut third = second.duplicate().expect("a secret");
    drop(second);
    third.expose_mut(|bytes| bytes[31] ^= 1);
    assert!(!first.matches(&third));
}

#[test]
fn a_new_secret_is_zero_whatever_its_slot_held_before() {
    for _ in 0..3000 {
        let mut secret = Secret::<32>::zeros().expect("a secret");
        assert!(secret.expose(|bytes| bytes.iter().all(|byte| *byte == 0)));
        secret.expose_mut(|bytes| bytes.fill(0xA5));
    }
}

#[test]
fn a_handle_works_until_the_secret_is_dropped_or_written() {
    let mut secret = Secret::<16>::fill(|bytes| bytes.fill(7)).expect("a secret");
    let handle = secret.handle();
    assert_eq!(handle.expose(|bytes| *bytes == [7; 16]), Some(true));
    secret.expose_mut(|bytes| bytes.fill(8));
    assert!(handle.expose(|_| ()).is_none());
    let handle = secret.handle();
    drop(secret);
    assert!(handle.expose(|_| ()).is_none());
}

#[test]
fn a_stale_handle_is_refused_when_its_slot_has_a_new_owner() {
    // Slots are reused last in, first out, so one of these has the first one's slot.
    let first = Secret::<32>::random().expect("a secret");
    let stale = first.handle();
    drop(first);
    let others: Vec<_> = (0..2000).map(|_| Secret::<32>::random().expect("a secret")).collect();
    assert!(stale.expose(|_| ()).is_none());
    assert!(others.iter().all(|other| other.handle().expose(|_| ()).is_some()));
}

#[test]
fn dropping_waits_for_the_uses_that_run() {
    let secret = Secret::<32>::fill(|bytes| bytes.fill(9)).expect("a secret");
    let handle = secret.handle();
    let [entered, dropping, finished] = [(); 3].map(|()| AtomicBool::new(false));
    std::thread::scope(|threads| {
        threads.spawn(|| {
            handle.expose(|bytes| {
                entered.store(true, Ordering::SeqCst);
                while !dropping.load(Ordering::SeqCst) {
                    yield_now();
                }
                // Many turns for the other thread.
                for _ in 0..1_000 {
                    assert_eq!(bytes, &[9; 32]);
                    yield_now();
                }
                finished.store(true, Ordering::SeqCst);
            })
        });
        while !entered.load(Ordering::SeqCst) {
            yield_now();
        }
        dropping.store(true, Ordering::SeqCst);
        drop(secret);
        assert!(finished.load(Ordering::SeqCst), "the secret went while it was used");
    });
}

#[test]
fn a_panic_in_a_scope_comes_out_of_it_and_leaves_the_next_one_whole() {
    let secret = Secret::<32>::fill(|bytes| bytes.fill(3)).expect("a secret");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        secret.expose(|_| panic!("on the scratch stack"));
    }));
    assert!(panicked.is_err());
    assert!(secret.expose(|bytes| *bytes == [3; 32]));
}

#[test]
fn scopes_nest_and_more_threads_than_stacks_take_turns() {
    std::thread::scope(|threads| {
        for at in 0..64_u8 {
            threads.spawn(move || {
                let outer = Secret::<32>::fill(|bytes| bytes.fill(at)).expect("a secret");
                for _ in 0..200 {
                    let inner = outer.duplicate().expect("a secret");
                    assert!(inner.matches(&outer));
                }
            });
        }
    });
}

#[test]
fn a_buffer_is_zero_and_writable() {
    let mut buffer = SecretBuffer::new(5000).expect("a buffer");
    buffer.expose_mut(|bytes| {
        assert!(bytes.len() >= 5000 && bytes.iter().all(|byte| *byte == 0));
        bytes.fill(1);
    });
}
