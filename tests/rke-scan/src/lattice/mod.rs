//! As much of ML-KEM-768 (FIPS 203) as its secrets are made of: the small vectors that seeds give, what the
//! number-theoretic transform makes of them, and the message in a ciphertext. Written for looking, not for encrypting.

use shake::{ExtendableOutput, Shake256, Update, XofReader};

/// Polynomials in a vector.
pub(crate) const RANK: usize = 3;

/// Length of a polynomial with 12-bit coefficients.
const PACKED_LEN: usize = 384;

/// Length of what a small polynomial is sampled from.
pub(crate) const NOISE_LEN: usize = 128;

/// Length of a ciphertext.
pub(crate) const CIPHERTEXT_LEN: usize = 1088;

/// Bits of a coefficient in the two parts of a ciphertext.
const U_BITS: usize = 10;
const V_BITS: usize = 4;

const Q: u32 = 3329;
/// A 256th root of unity.
const ZETA: u32 = 17;
/// 128 to the minus first.
const SCALE: u32 = 3303;

/// 256 coefficients below 3329.
pub(crate) type Poly = [u16; 256];

fn mul(a: u16, b: u32) -> u16 {
    (u32::from(a) * b % Q) as u16
}

fn add(a: u16, b: u16) -> u16 {
    ((u32::from(a) + u32::from(b)) % Q) as u16
}

fn sub(a: u16, b: u16) -> u16 {
    add(a, (Q - u32::from(b)) as u16)
}

fn power(exponent: u32) -> u32 {
    (0..exponent).fold(1, |power, _| power * ZETA % Q)
}

fn zeta(at: usize) -> u32 {
    power(u32::from((at as u8).reverse_bits() >> 1))
}

/// The number-theoretic transform.
pub(crate) fn ntt(poly: &Poly) -> Poly {
    let (mut out, mut at) = (*poly, 1);
    for len in [128, 64, 32, 16, 8, 4, 2] {
        for start in (0..256).step_by(2 * len) {
            let zeta = zeta(at);
            at += 1;
            for j in start..start + len {
                let turned = mul(out[j + len], zeta);
                (out[j], out[j + len]) = (add(out[j], turned), sub(out[j], turned));
            }
        }
    }
    out
}

fn inverse_ntt(poly: &Poly) -> Poly {
    let (mut out, mut at) = (*poly, 127);
    for len in [2, 4, 8, 16, 32, 64, 128] {
        for start in (0..256).step_by(2 * len) {
            let zeta = zeta(at);
            at -= 1;
            for j in start..start + len {
                let (one, other) = (out[j], out[j + len]);
                (out[j], out[j + len]) = (add(one, other), mul(sub(other, one), zeta));
            }
        }
    }
    out.map(|coefficient| mul(coefficient, SCALE))
}

/// The product of two transformed polynomials.
fn product(a: &Poly, b: &Poly) -> Poly {
    let mut out = [0; 256];
    for at in 0..128 {
        let gamma = power(2 * u32::from((at as u8).reverse_bits() >> 1) + 1);
        let [a0, a1] = [a[2 * at], a[2 * at + 1]];
        let [b0, b1] = [b[2 * at], b[2 * at + 1]].map(u32::from);
        out[2 * at] = add(mul(a0, b0), mul(mul(a1, b1), gamma));
        out[2 * at + 1] = add(mul(a0, b1), mul(a1, b0));
    }
    out
}

/// The seed of the polynomial with this number.
pub(crate) fn noise(seed: &[u8; 32], number: u8) -> [u8; NOISE_LEN] {
    let mut shake = Shake256::default();
    shake.update(seed);
    shake.update(&[number]);
    let mut out = [0; NOISE_LEN];
    shake.finalize_xof().read(&mut out);
    out
}

/// The small polynomial that noise gives: each coefficient is the difference of two sums of two bits.
pub(crate) fn sample(noise: &[u8; NOISE_LEN]) -> Poly {
    std::array::from_fn(|at| {
        let bits = u16::from(noise[at / 2] >> (4 * (at % 2)));
        sub((bits & 1) + (bits >> 1 & 1), (bits >> 2 & 1) + (bits >> 3 & 1))
    })
}

/// A transformed polynomial as it stands in a key.
pub(crate) fn pack(poly: &Poly) -> Vec<u8> {
    let (pairs, _) = poly.as_chunks::<2>();
    let packed = pairs.iter().flat_map(|[a, b]| [*a as u8, (a >> 8 | b << 4) as u8, (b >> 4) as u8]);
    let packed: Vec<u8> = packed.collect();
    debug_assert_eq!(packed.len(), PACKED_LEN);
    packed
}

fn unpack(bytes: &[u8], bits: usize) -> Poly {
    let bit = |at: usize| u16::from(bytes[at / 8] >> (at % 8) & 1);
    std::array::from_fn(|at| (0..bits).fold(0, |sum, place| sum | bit(at * bits + place) << place))
}

fn decompress(poly: Poly, bits: usize) -> Poly {
    poly.map(|coefficient| ((u32::from(coefficient) * Q + (1 << (bits - 1))) >> bits) as u16)
}

/// The message in a ciphertext, for a holder of the transformed secret vector.
pub(crate) fn message(secret: &[Poly; RANK], ciphertext: &[u8; CIPHERTEXT_LEN]) -> [u8; 32] {
    let part_len = 32 * U_BITS;
    let mut noisy = decompress(unpack(&ciphertext[RANK * part_len..], V_BITS), V_BITS);
    for (secret, part) in secret.iter().zip(ciphertext.chunks_exact(part_len)) {
        let part = inverse_ntt(&product(secret, &ntt(&decompress(unpack(part, U_BITS), U_BITS))));
        noisy.iter_mut().zip(part).for_each(|(sum, part)| *sum = sub(*sum, part));
    }
    // Nearer to half of Q than to zero.
    let bit = |at: usize| u8::from((Q / 4 + 1..=3 * Q / 4).contains(&u32::from(noisy[at])));
    std::array::from_fn(|byte| (0..8).fold(0, |sum, place| sum | bit(8 * byte + place) << place))
}

#[cfg(test)]
mod tests;
