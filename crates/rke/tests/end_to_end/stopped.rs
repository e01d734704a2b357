//! A daemon that is stopped, as by `kill -STOP`: it accepts connections but never responds.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::dev::Dev;
use crate::support::{DOMAIN, PATIENCE};

#[test]
fn every_command_leaves_a_daemon_that_says_nothing() {
    let dev = Dev::start();
    let id = dev.create_id();
    let wallet = dev.wallet.to_str().expect("UTF-8").to_owned();
    std::fs::write(dev.path("lines"), format!("{} AAAA\n", "0".repeat(32))).expect("written");
    dev.signal(Signal::STOP);
    for (arguments, code) in [
        (&["status"][..], 3),
        (&["doctor"], 1),
        (&["doctor", DOMAIN, "--json"], 1),
        (&["session", "list"], 3),
        (&["session", "list", "-q"], 3),
        (&["session", "show", &id], 3),
        (&["session", "show", &id[..4]], 3),
        (&["session", "renew", &id, "00"], 3),
        (&["session", "delete", &id], 3),
        (&["session", "delete", "--all"], 3),
        (&["session", "create", DOMAIN, "--wallet", &wallet], 3),
        (&["keys", "list"], 3),
        (&["keys", "forget", "--all"], 3),
        (&["raidas"], 3),
        (&["raidas", "refresh"], 3),
        (&["discover", DOMAIN], 3),
        (&["encrypt", &id], 3),
        (&["encrypt", &id, "--lines", "lines"], 3),
        (&["decrypt", &id, "--lines", "lines"], 3),
        (&["connect", &id], 255),
    ] {
        let asked = Instant::now();
        let mut command = dev.command(arguments);
        let done: crate::dev::Done = command.env("RKE_TIMEOUT", "1").output().expect("rke runs").into();
        let (took, said) = (asked.elapsed(), done.err + &String::from_utf8_lossy(&done.out));
        // With a domain, the doctor also waits for each RAIDA, and the RAIDAs are stopped too.
        assert!(took < PATIENCE, "{arguments:?} took {took:?}");
        assert_eq!(done.code, Some(code), "{arguments:?}: {said}");
        let silence = format!("the daemon at {} has not responded within 1 s", dev.daemon);
        assert!(said.contains(&silence), "{arguments:?}: {said}");
    }
    // The daemon now handles the requests that arrived meanwhile.
    dev.signal(Signal::CONT);
    assert_eq!(dev.rke(&["status"]).code, Some(0));
}

#[test]
fn ten_seconds_are_enough_unless_the_command_line_says_otherwise() {
    let dev = Dev::start();
    dev.signal(Signal::STOP);
    let asked = Instant::now();
    let done = dev.command(&["status"]).env_remove("RKE_TIMEOUT").output().expect("rke runs");
    let done = crate::dev::Done::from(done);
    assert!(
        done.err.contains("has not responded within 10 s") && done.err.contains("--timeout"),
        "{}",
        done.err
    );
    assert!(asked.elapsed() >= Duration::from_secs(10) && asked.elapsed() < PATIENCE);
    for wrong in ["0", "-1", "x", "86401"] {
        assert_eq!(dev.rke(&["status", &format!("--timeout={wrong}")]).code, Some(2), "{wrong}");
    }
    dev.signal(Signal::CONT);
    assert_eq!(dev.rke(&["status", "--timeout", "60"]).code, Some(0));
}
