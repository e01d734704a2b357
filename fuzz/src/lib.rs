//! Shared parts of the fuzz targets in `tests/`: the corpus, changes to its files, honest packets, and a measure of a
//! decoder's allocations. Test only. One line, [`target!`], makes a target of a decoder; `README.md` describes how to
//! run the targets and how to add new ones.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

pub mod changes;
pub mod corpus;
pub mod memory;
pub mod samples;

pub use bolero;

/// Random inputs of one property in an ordinary test run. A coverage-guided run has no such bound.
pub const RUNS: usize = 20_000;

/// Longest random input: more than any datagram here that is not a preload.
pub const MAX_LEN: usize = 2048;

/// Makes a module of tests from a target's name and its check. The check is a `fn(&[u8]) -> bool`: it asserts
/// everything that must hold for these bytes, and says whether the decoder accepts them. The target's corpus lies in
/// `tests/__fuzz__/<name>/corpus`.
#[macro_export]
macro_rules! target {
    ($name:ident, $check:ident) => {
        mod $name {
            #[test]
            fn holds_for_the_corpus_and_for_any_bytes() {
                $crate::bolero::check!(name = stringify!($name))
                    .with_iterations($crate::RUNS)
                    .with_max_len($crate::MAX_LEN)
                    .for_each(|bytes: &[u8]| {
                        let _taken: bool = super::$check(bytes);
                    });
            }

            #[test]
            fn holds_for_changed_files_of_the_corpus() {
                let files = $crate::corpus::files(stringify!($name));
                $crate::bolero::check!(name = concat!(stringify!($name), "_changed"))
                    .with_generator($crate::changes::any())
                    .with_iterations($crate::RUNS)
                    .for_each(|changes| {
                        let _taken: bool = super::$check(&changes.apply(&files).1);
                    });
            }

            #[test]
            fn takes_the_good_files_of_the_corpus_only() {
                $crate::corpus::check_names(stringify!($name), super::$check);
            }
        }
    };
}
