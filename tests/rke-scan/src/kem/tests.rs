use rke_proto::handshake::kem::{EncapsulationSeeds, decapsulate, encapsulate, public_key};
use rke_secret::Secret as Slot;

use super::*;

fn slot(bytes: [u8; 32]) -> Slot<32> {
    Slot::fill(|slot| *slot = bytes).expect("secret memory")
}

#[test]
fn both_ends_are_followed_to_the_shared_secret_of_the_program() {
    for byte in 0..8 {
        let (seed, message, x25519) = ([byte; 32], [byte + 100; 32], [byte + 200; 32]);
        let public = public_key(&slot(seed)).expect("a public key");
        assert!(is_seed_of(&seed, &public) && !is_seed_of(&message, &public));
        let seeds = EncapsulationSeeds { ml_kem: slot(message), x25519: slot(x25519) };
        let (sealed, shared) = encapsulate(&public, &seeds).expect("memory").expect("a good key");
        let made = Encapsulation::make(&public, message, x25519);
        let key = EphemeralKey::from_seed(seed);
        let opened = Encapsulation::open(&key, &public, &sealed);
        assert_eq!(opened.message, message);
        assert_eq!([made.shared, opened.shared], [shared.expose(|shared| *shared); 2]);
        assert!(decapsulate(&slot(seed), &sealed).expect("memory").is_some_and(|of| of.matches(&shared)));
    }
}
