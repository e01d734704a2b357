use std::sync::Mutex;

use rke_proto::handshake::{KeyId, SessionSecrets};

use super::*;

fn wide_key() -> SessionKey {
    let secret = || Secret::random().expect("a secret");
    let secrets = SessionSecrets { key: secret(), resumption: secret(), key_id: KeyId([7; 16]) };
    SessionKey::of_handshake(secrets, u64::from(u32::MAX)).expect("secret memory").0
}

#[test]
fn keys_that_nobody_claims_are_wiped_at_the_other_end_too() {
    let (given_up, give_up) = (Arc::new(Mutex::new(Vec::new())), GiveUp::default());
    let server = || ServerName { host: "cs.rke.test".into(), port: 443 };
    let noted = Arc::clone(&given_up);
    give_up.set(move |deletion: RemoteDeletion| noted.lock().expect("unpoisoned").push(deletion.id));
    let unclaimed = |key| UnclaimedKey::new(key, server(), give_up.clone());
    drop(unclaimed(wide_key()).claim());
    let narrow = SessionKey::Narrow { key: Secret::random().expect("a secret"), usage: Arc::default() };
    drop(unclaimed(narrow));
    assert!(given_up.lock().expect("unpoisoned").is_empty(), "claimed, or unknown to the other end");
    drop(unclaimed(wide_key()));
    assert_eq!(*given_up.lock().expect("unpoisoned"), [[7; 16]]);
}
