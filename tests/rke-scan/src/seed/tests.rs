use rke_proto::handshake::kem::public_key;
use rke_secret::Secret;

use super::*;

#[test]
fn the_seed_is_found_among_other_bytes() {
    let seed: [u8; 32] = std::array::from_fn(|at| (at * 37 + 11) as u8);
    let slot = Secret::fill(|slot| *slot = seed).expect("secret memory");
    let public = public_key(&slot).expect("a public key");
    let mut bytes: Vec<u8> = (0..4000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 11) as u8).collect();
    assert_eq!(find(&bytes, &public), None);
    bytes[2048..2080].copy_from_slice(&seed);
    assert_eq!(find(&bytes, &public), Some(seed));
}
