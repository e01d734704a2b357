#[test]
fn the_notices_are_those_of_the_dependencies() {
    super::compare().expect("THIRD-PARTY.md as the dependencies give it");
}
