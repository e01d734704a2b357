use rke_secret::measure_for_kem;
use rke_secret::process::block_signals;

use super::*;

fn seeds() -> EncapsulationSeeds {
    EncapsulationSeeds::random().expect("random bytes")
}

#[test]
fn both_ends_share_a_secret() {
    let seed = Secret::random().expect("a seed");
    let public = public_key(&seed).expect("a key");
    let (ciphertext, sent) = encapsulate(&public, &seeds()).expect("memory").expect("a good key");
    let received = decapsulate(&seed, &ciphertext).expect("memory").expect("a good ciphertext");
    assert!(sent.matches(&received));
    let other = decapsulate(&Secret::random().expect("a seed"), &ciphertext).expect("memory").expect("some");
    assert!(!sent.matches(&other));
}

#[test]
fn keys_and_ciphertexts_that_must_be_refused_are() {
    let seed = Secret::random().expect("a seed");
    let good = public_key(&seed).expect("a key");
    let mut unreduced = good.clone();
    unreduced[..3].fill(0xFF);
    let mut zero = good.clone();
    zero[PUBLIC_KEY_LEN - 32..].fill(0);
    for bad in [unreduced, zero] {
        assert!(encapsulate(&bad, &seeds()).expect("memory").is_none());
    }
    let (mut ciphertext, _) = encapsulate(&good, &seeds()).expect("memory").expect("a good key");
    ciphertext[CIPHERTEXT_LEN - 32..].fill(0);
    assert!(decapsulate(&seed, &ciphertext).expect("memory").is_none());
}

#[test]
fn each_operation_has_twice_the_stack_that_it_needs() {
    block_signals().expect("signals to be blocked");
    let seed = [7; SEED_LEN];
    let key = DecapsulationKeyRejectNonContrib::from(seed);
    let public = key.encapsulation_key().clone();
    let (ciphertext, _) = public.encapsulate_deterministic(&[9; ENCAPSULATION_RANDOM_LEN].into());
    let all_of_them = || {
        std::hint::black_box(DecapsulationKey::from(std::hint::black_box(seed)));
        std::hint::black_box(public.encapsulate_deterministic(&[9; ENCAPSULATION_RANDOM_LEN].into()));
        let key = DecapsulationKeyRejectNonContrib::from(std::hint::black_box(seed));
        std::hint::black_box(key.try_decapsulate(&ciphertext).is_ok());
    };
    let (used, depth) = measure_for_kem(all_of_them).expect("secret memory");
    assert!(2 * used <= depth, "{used} of {depth} bytes");
}
