//! What the kernel reports about a daemon that holds keys.

use std::fs::read_to_string;

use crate::real::Real;

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_gives_up_new_privileges() {
    let real = Real::start(&[]).await;
    let status = read_to_string(format!("/proc/{}/status", real.process())).expect("a status");
    let line = status.lines().find(|line| line.starts_with("NoNewPrivs:")).expect("a line");
    assert_eq!(line.split_whitespace().last(), Some("1"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_locked_memory_goes_to_a_core_dump_while_a_key_lives() {
    // A process shows its memory only if it may be inspected, and only then can it be dumped.
    let real = Real::start(&["--secret-memory", "locked", "--insecure-debug"]).await;
    let id = real.create_id();
    let smaps = read_to_string(format!("/proc/{}/smaps", real.process())).expect("the daemon's memory");
    let flags = smaps.lines().filter_map(|line| line.strip_prefix("VmFlags: "));
    let has = |flags: &str, flag: &str| flags.split_whitespace().any(|of| of == flag);
    let locked: Vec<&str> = flags.filter(|flags| has(flags, "lo") && has(flags, "wr")).collect();
    assert!(!locked.is_empty(), "no memory is locked");
    assert!(locked.iter().all(|flags| has(flags, "dd")), "locked memory is dumped: {locked:#?}");
    assert!(real.lives(&id));
}
