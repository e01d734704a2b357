use super::*;

const NOTED: &str = "# rustc 1\n# valgrind-3\n1000 delete\n2000 encrypt 1 KiB\n";

fn compared(rustc: &str, delete: u64) -> Result<Option<String>> {
    let tools = [rustc.to_owned(), "valgrind-3".to_owned()];
    compare(NOTED, &tools, &[(delete, "delete"), (2000, "encrypt 1 KiB")])
}

#[test]
fn counts_of_the_same_tools_may_differ_by_3_percent() {
    assert!(matches!(compared("rustc 1", 1029), Ok(None)));
    assert!(compared("rustc 1", 1031).is_err() && compared("rustc 1", 969).is_err());
    assert!(compare(NOTED, &["rustc 1".into(), "valgrind-3".into()], &[(1, "another")]).is_err());
}

#[test]
fn counts_of_other_tools_are_not_compared_and_the_reason_is_returned() {
    let why = compared("rustc 2", 9999).expect("no failure").expect("a reason");
    assert_eq!(why, "counts.txt is of rustc 1 and valgrind-3, and this machine has rustc 2 and valgrind-3");
}
