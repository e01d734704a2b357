use super::*;

#[test]
fn equal_faults_are_one_line() {
    let [first, second, third] = [0, 7, 24].map(|index| RaidaIndex::new(index).expect("an index"));
    let faults = [(first, Fault::Silent), (second, Fault::Unreachable), (third, Fault::Silent)];
    assert_eq!(told(&faults), ["RAIDAs 0, 24: no answer", "RAIDA 7: unreachable"]);
    assert!(told(&[]).is_empty());
}
