use super::*;

#[test]
fn a_line_has_a_nonce_and_data() {
    let nonce = "000102030405060708090a0b0c0d0e0f";
    assert_eq!(parse(&format!("{nonce} SGk=\n")), Some((nonce, b"Hi".to_vec())));
    for wrong in ["", nonce, &format!("{nonce} SGk"), &format!("{} SGk=", &nonce[1..]), "x SGk="] {
        assert_eq!(parse(wrong), None, "{wrong}");
    }
}
