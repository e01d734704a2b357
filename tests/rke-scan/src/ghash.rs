//! The key of GHASH that AES-GCM makes of its own, and its powers, as tables of it hold them.

use aes::cipher::{BlockCipherEncrypt, KeyInit};

/// Powers in the largest table.
const POWERS: usize = 8;

/// The polynomial by which GHASH reduces, with its bits as GHASH orders them.
const REDUCTION: u128 = 0xE1 << 120;

/// The product of two elements, the first bit of each its highest.
fn multiply(a: u128, mut b: u128) -> u128 {
    let mut product = 0;
    for at in (0..128).rev() {
        product ^= b * (a >> at & 1);
        b = (b >> 1) ^ (REDUCTION * (b & 1));
    }
    product
}

/// An element as those hold it that multiply without carries: times x, bits in the other direction.
fn turned(element: u128) -> u128 {
    let carry = element >> 127;
    (element << 1) ^ (carry * 0xC200_0000_0000_0000_0000_0000_0000_0001)
}

/// The key that GHASH has under an AES-256 key, and the tables that are made of it.
pub(crate) fn forms(key: &[u8]) -> Vec<[u8; 16]> {
    let Ok(cipher) = aes::Aes256Enc::new_from_slice(key) else { return Vec::new() };
    let mut block = [0; 16].into();
    cipher.encrypt_block(&mut block);
    let key = u128::from_be_bytes(block.into());
    let powers = std::iter::successors(Some(key), |power| Some(multiply(*power, key)));
    let elements = powers.take(POWERS).flat_map(|power| [power, turned(power)]);
    elements.flat_map(|element| [element.to_be_bytes(), element.to_le_bytes(), swapped(element)]).collect()
}

/// The halves in the other order, each as this machine holds a word.
fn swapped(element: u128) -> [u8; 16] {
    element.rotate_left(64).to_le_bytes()
}

#[cfg(test)]
mod tests {
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
}
