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
mod tests;
