use super::*;

#[test]
fn multiplies_as_the_example_of_the_standard() {
    // Test case 2 of McGrew and Viega: H, the ciphertext block, and their product.
    let key = 0x66e9_4bd4_ef8a_2c3b_884c_fa59_ca34_2b2e;
    let block = 0x0388_dace_60b6_a392_f328_c2b9_71b2_fe78;
    assert_eq!(multiply(block, key), 0x5e2e_c746_9170_6288_2c85_b068_5353_deb7);
    assert_eq!(multiply(key, block), 0x5e2e_c746_9170_6288_2c85_b068_5353_deb7);
}

#[test]
fn the_first_form_is_the_block_of_zeros_encrypted() {
    // The same test case is for AES-128; this is case 13, with 256 zero bits for a key.
    let forms = forms(&[0; 32]);
    assert_eq!(forms[0], 0xdc95_c078_a240_8989_ad48_a214_9284_2087_u128.to_be_bytes());
    assert_eq!(forms.len(), 6 * POWERS);
}
