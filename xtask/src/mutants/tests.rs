use super::*;

#[test]
fn the_packages_are_those_whose_sources_a_change_touches() {
    let diff = "\
--- a/crates/rke-proto/src/coin/mod.rs
+++ b/crates/rke-proto/src/coin/mod.rs
+++ b/crates/rke-proto/src/form/mod.rs
+++ b/crates/rke/tests/end_to_end/storm.rs
+++ b/fuzz/src/corpus.rs
+++ b/docs/testing.md
+++ /dev/null
+++ b/tests/rke-scan/src/main.rs
";
    let folders = folders(diff);
    assert_eq!(folders.iter().copied().collect::<Vec<_>>(), ["crates/rke-proto", "fuzz", "tests/rke-scan"]);
    let packages: Vec<&str> = folders.into_iter().map(package).collect();
    assert_eq!(packages, ["rke-proto", "rke-fuzz", "rke-scan"]);
}
