use std::collections::HashSet;

use super::*;

#[test]
fn no_bytes_come_twice_on_any_thread() {
    if find().is_none() {
        let mut byte = [0];
        assert!(!fill(&mut byte));
        return;
    }
    let many = || -> Vec<[u8; 16]> {
        let one = |_| {
            let mut bytes = [0; 16];
            assert!(fill(&mut bytes));
            bytes
        };
        (0..5000).map(one).collect()
    };
    let threads = [(); 4].map(|()| std::thread::spawn(many));
    let all: HashSet<_> = threads.into_iter().flat_map(|thread| thread.join().expect("bytes")).collect();
    assert_eq!(all.len(), 20_000);
    let mut long = vec![0; 5000];
    assert!(fill(&mut long) && long[4900..].iter().any(|byte| *byte != 0));
}
