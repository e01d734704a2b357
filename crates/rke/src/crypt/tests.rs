use super::*;

#[test]
fn a_nonce_is_32_digits() {
    let nonce = parse_nonce("000102030405060708090a0b0c0d0eff").expect("a nonce");
    assert_eq!((nonce[1], nonce[15]), (1, 255));
    for wrong in ["", "00", "000102030405060708090a0b0c0d0ef", "+00102030405060708090a0b0c0d0e0f"] {
        assert_eq!(parse_nonce(wrong), None, "{wrong}");
    }
}
