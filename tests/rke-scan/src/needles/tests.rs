use super::*;

const KEY: [u8; 32] = [
    0x60, 0x3d, 0xeb, 0x10, 0x15, 0xca, 0x71, 0xbe, 0x2b, 0x73, 0xae, 0xf0, 0x85, 0x7d, 0x77, 0x81, 0x1f,
    0x35, 0x2c, 0x07, 0x3b, 0x61, 0x08, 0xd7, 0x2d, 0x98, 0x10, 0xa3, 0x09, 0x14, 0xdf, 0xf4,
];

fn needles() -> Needles {
    let mut needles = Needles::new();
    needles.add(Secret::SessionKey, &KEY);
    needles
}

fn forms(needles: &Needles, bytes: &[u8]) -> Vec<Form> {
    let mut memory = vec![0; 100];
    memory.extend_from_slice(bytes);
    memory.extend_from_slice(&[0; 100]);
    let mut forms: Vec<Form> = needles.find(&memory).map(|(_, source)| needles.label(source).1).collect();
    forms.sort();
    forms.dedup();
    forms
}

#[test]
fn finds_every_form_and_halves_of_them() {
    let needles = needles();
    let schedule = Finder::new().expand(&KEY);
    assert_eq!(forms(&needles, &KEY[16..]), [Form::Plain]);
    assert_eq!(forms(&needles, &KEY[5..13]), [Form::Plain]);
    assert_eq!(forms(&needles, &reverse_words(&KEY)[..16]), [Form::Reversed]);
    assert_eq!(forms(&needles, &KEY.map(|byte| byte ^ 0x5C)[..8]), [Form::HmacPad]);
    assert_eq!(forms(&needles, &schedule[96..112]), [Form::Schedule]);
    assert_eq!(forms(&needles, &decryption_form(&schedule)[96..112]), [Form::DecryptionSchedule]);
    assert_eq!(forms(&needles, &hex::encode_upper(KEY).as_bytes()[7..30]), [Form::Hex]);
    assert_eq!(forms(&needles, &KEY.map(|byte| byte ^ 1)), []);
}

#[test]
fn half_a_window_of_hex_is_no_hit() {
    let text = hex::encode(KEY);
    assert_eq!(forms(&needles(), &text.as_bytes()[..15]), []);
    assert_eq!(forms(&needles(), &text.as_bytes()[..16]), [Form::Hex]);
}

#[test]
fn keys_that_leave_are_found_as_text_of_both_kinds() {
    let mut needles = Needles::new();
    needles.add(Secret::ExportedKey, &KEY);
    let text = STANDARD.encode(KEY);
    assert_eq!(forms(&needles, &text.as_bytes()[3..19]), [Form::Base64]);
    assert_eq!(forms(&needles, &text.as_bytes()[..15]), []);
    assert_eq!(forms(&needles, hex::encode(KEY).as_bytes()), [Form::Hex]);
}

#[test]
fn hmac_states_are_those_that_sha256_goes_through() {
    use sha2::digest::common::hazmat::SerializableState;
    use sha2::{Digest, Sha256};
    let block: Vec<u8> = KEY.iter().map(|byte| byte ^ 0x36).chain([0x36; 32]).collect();
    let state = Sha256::new_with_prefix(block).serialize();
    assert_eq!(forms(&needles(), &state[..32]), [Form::HmacState]);
}

#[test]
fn windows_of_few_different_bytes_are_no_needles() {
    let mut needles = Needles::new();
    needles.add_windows(Label(Secret::Share, Form::Plain), &[7; 32], 1);
    assert_eq!(needles.windows.len(), 0);
}

#[test]
fn a_secret_that_was_added_before_is_found_by_its_first_name() {
    let mut needles = needles();
    let names = [(); 2].map(|()| needles.add(Secret::Psk, &KEY));
    assert_eq!(names[0], names[1]);
    assert_eq!(needles.label(names[0]), Label(Secret::SessionKey, Form::Plain));
    assert!(needles.find(&KEY).all(|(_, source)| source == names[0]));
}

#[test]
fn a_wider_filter_lets_pass_what_passed_before() {
    let mut needles = needles();
    needles.widen_filter();
    assert_eq!(forms(&needles, &KEY[5..13]), [Form::Plain]);
    assert_eq!(forms(&needles, &hex::encode_upper(KEY).as_bytes()[7..30]), [Form::Hex]);
}

/// From the last digit on: each byte's two, less what the one before has lent.
fn digits_of_the_key() -> Vec<u8> {
    let mut clamped = KEY;
    (clamped[0], clamped[31]) = (KEY[0] & 0xF8, KEY[31] & 0x7F | 0x40);
    let (mut digits, mut lent) = (Vec::new(), 0);
    for nibble in clamped.iter().flat_map(|byte| [i16::from(byte % 16), i16::from(byte / 16)]) {
        let digit = nibble + lent;
        lent = i16::from(digit > 7);
        digits.push((digit - 16 * lent) as i8 as u8);
    }
    digits
}

#[test]
fn numbers_of_the_key_encapsulation_are_found_as_code_holds_them() {
    let mut needles = Needles::new();
    needles.add_scalar(Secret::X25519Key, &KEY);
    assert_eq!(forms(&needles, &KEY[..8]), [Form::Plain]);
    assert_eq!(forms(&needles, &digits_of_the_key()[20..36]), [Form::Digits]);
    needles.add_field_element(Secret::X25519Shared, &KEY);
    let low = u64::from_le_bytes(*KEY.first_chunk().expect("8 bytes")) & ((1 << 51) - 1);
    assert_eq!(forms(&needles, &low.to_le_bytes()), [Form::Limbs]);
    let poly = std::array::from_fn(|at| (at as u16 * 77 + 1000) % 3329);
    needles.add_coefficients(Secret::MlKemKey, &poly);
    let bytes: Vec<u8> = poly[100..104].iter().flat_map(|coefficient| coefficient.to_le_bytes()).collect();
    assert_eq!(forms(&needles, &bytes), [Form::Coefficients]);
}
