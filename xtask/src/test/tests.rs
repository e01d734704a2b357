use super::*;

fn left_out(arguments: &[&str], counts: Option<&str>) -> String {
    not_checked(&Extent::parse(arguments).expect("an extent"), counts).join("\n")
}

#[test]
fn a_run_says_all_that_it_has_not_checked() {
    let ordinary = left_out(&["--without", "swap"], Some("another compiler"));
    for part in [
        "195 of 200",
        "debug build",
        "simulation",
        "history",
        "licences",
        "Valkey",
        "packages",
        "need swap",
        "another compiler",
        "advisories",
    ] {
        assert!(ordinary.contains(part), "{part}: {ordinary}");
    }
    assert_eq!(left_out(&["--long"], None), LEFT_TO_THE_NETWORK);
}

#[test]
fn the_process_next_to_the_tests_gets_the_extent_of_the_run() {
    for arguments in [&["--long"][..], &[], &["--without", "swap", "--without", "core-dumps"]] {
        assert_eq!(Extent::parse(arguments).expect("an extent").arguments(), arguments);
    }
}

#[test]
fn failed_tests_are_read_from_what_cargo_prints() {
    let printed = "running 3 tests\ntest api::one ... ok\ntest api::two ... FAILED\ntest api::three ... ignored\n\
        test crates/rke-proto/src/lib.rs - (line 9) ... ok\n---- api::two stdout ----\ntest result: FAILED. 1 passed\n";
    let outcome = workspace::Outcome::read(printed.as_bytes()).expect("lines");
    let passed = ["api::one", "crates/rke-proto/src/lib.rs - (line 9)"].map(str::to_owned);
    assert_eq!((outcome.passed, outcome.failed), (passed.into(), ["api::two".to_owned()].into()));
    assert_eq!(outcome.unfinished, 0);
}

#[test]
fn a_test_program_that_was_killed_is_noticed() {
    let printed = "running 1 test\ntest api::one ... ok\ntest result: ok. 1 passed\nrunning 2 tests\ntest api::two ... ok\n\
        running 3 tests\ntest result: ok. 3 passed\n";
    assert_eq!(workspace::Outcome::read(printed.as_bytes()).expect("lines").unfinished, 1);
}
