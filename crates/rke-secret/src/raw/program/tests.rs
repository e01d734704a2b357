use procfs::process::{MMPermissions, Process};

use super::*;

/// Bytes of code of this process that are in memory.
fn resident_code() -> u64 {
    let maps = Process::myself().and_then(|process| process.smaps()).expect("the maps of this process");
    let code = maps.into_iter().filter(|map| map.perms.contains(MMPermissions::EXECUTE));
    code.filter_map(|map| map.extension.map.get("Rss").copied()).sum()
}

#[test]
fn dropped_code_is_not_in_memory_and_runs_when_it_is_needed() {
    let before = resident_code();
    drop_code_pages();
    let after = resident_code();
    assert!(after < before, "{after} of {before} bytes");
    // Code that the start of a program needed.
    assert_eq!(std::thread::spawn(|| format!("{:.1}", 0.25)).join().expect("a thread"), "0.2");
}
