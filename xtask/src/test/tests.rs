use super::*;

fn left_out(arguments: &[&str], counts: Option<&str>) -> String {
    not_checked(&Extent::parse(arguments).expect("an extent"), counts).join("\n")
}

#[test]
fn a_run_says_all_that_it_has_not_checked() {
    let ordinary = left_out(&["--without", "swap"], Some("another compiler"));
    for part in
        ["180 of 200", "debug build", "simulation", "licences", "need swap", "another compiler", "advisories"]
    {
        assert!(ordinary.contains(part), "{part}: {ordinary}");
    }
    assert_eq!(left_out(&["--long"], None), LEFT_TO_THE_NETWORK);
}
