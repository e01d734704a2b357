use rke_secret::Secret;

use crate::handshake::noise::SymmetricState;

/// Both ends of a handshake, before its first message.
fn both_ends() -> (SymmetricState, SymmetricState) {
    let end = || {
        let psk = Secret::fill(|psk| *psk = [7; 32]).expect("secret memory");
        SymmetricState::begin(b"prologue", &psk).expect("secret memory")
    };
    (end(), end())
}

#[test]
fn each_message_under_one_key_has_a_number_of_its_own() {
    let (mut from, mut to) = both_ends();
    for plaintext in [b"first", b"other", b"third"] {
        let mut sealed = Vec::new();
        from.encrypt_and_hash(plaintext, &mut sealed);
        assert_eq!(to.decrypt_and_hash(&sealed).as_deref(), Ok(&plaintext[..]));
    }
}

#[test]
fn a_message_that_fails_does_not_count() {
    let (mut from, mut to) = both_ends();
    let mut sealed = Vec::new();
    from.encrypt_and_hash(b"first", &mut sealed);
    let mut altered = sealed.clone();
    altered[0] ^= 1;
    assert!(to.decrypt_and_hash(&altered).is_err());
    assert_eq!(to.decrypt_and_hash(&sealed).as_deref(), Ok(&b"first"[..]));
}
