use rke_proto::handshake::kem::{self, EncapsulationSeeds};
use rke_proto::handshake::keys::{ctr_key, export_key, forget_proof, forget_token, seal_key};
use rke_proto::handshake::{Accepted, FirstPacket, Grant, Initiator, KeyId, Prologue, Responder, Response};
use rke_proto::{ContentServerId, handshake::record::LEN_LEN};
use rke_secret::Secret as Slot;

use super::*;
use crate::kem::{Encapsulation, EphemeralKey};

fn slot(byte: u8) -> Slot<32> {
    Slot::fill(|slot| *slot = [byte; 32]).expect("secret memory")
}

fn derived(function: fn(&[u8; 32], &mut [u8; 32]), key: &[u8; 32]) -> [u8; 32] {
    let mut out = [0; 32];
    function(key, &mut out);
    out
}

/// Client and server, and the message of each.
fn handshaken() -> (Accepted, Accepted, Vec<u8>, Vec<u8>, Vec<u8>) {
    let cs_id = ContentServerId::new("CS").expect("an ID");
    let prologue = Prologue::Attach { cs_id, id: KeyId([7; 16]) };
    let key = kem::EphemeralKey::of_seed(slot(2)).expect("memory");
    let (initiator, packet) = Initiator::begin(&prologue, &slot(1), key, "a.test").expect("memory");
    let Ok(FirstPacket::Handshake { raw, message, .. }) = FirstPacket::decode(&packet) else {
        panic!("a handshake")
    };
    let seeds = EncapsulationSeeds { ml_kem: slot(3), x25519: slot(4) };
    let (responder, _) = Responder::receive(raw, &slot(1), message, &seeds).expect("a good message");
    let grant = Grant { resumption: None, lifetime: 1 };
    let (response, server) = responder.accept(grant).expect("memory");
    let Response::Accepted(second) = response else { panic!("it accepts") };
    let client = initiator.receive(&second).expect("a good message");
    (client, server, raw.to_vec(), message.to_vec(), second)
}

#[test]
fn the_keys_are_those_of_both_ends() {
    let (mut client, server, raw, first, second) = handshaken();
    let public = first.first_chunk().expect("a public key");
    let mut noise = Noise::begin(&raw, &[1; 32]);
    noise.message_1(&first);
    noise.message_2(&second, &Encapsulation::make(public, [3; 32], [4; 32]).shared);
    let sealed = second.first_chunk().expect("a ciphertext");
    let opened = Encapsulation::open(&EphemeralKey::from_seed([2; 32]), public, sealed);
    assert_eq!(opened.shared, Encapsulation::make(public, [3; 32], [4; 32]).shared);

    let session = noise.session();
    for secrets in [&client.secrets, &server.secrets] {
        assert_eq!(secrets.key_id.0, session.key_id);
        assert!(secrets.key.expose(|key| *key == session.key));
        assert!(secrets.resumption.expose(|resumption| *resumption == session.resumption));
    }
    let known = session.known().map(|(_, bytes)| bytes);
    assert_eq!(known[1..4], [ctr_key, seal_key, export_key].map(|of| derived(of, &session.key)));
    let (token, proof) = farewell(&session.key);
    assert!(forget_token(&session.key).0 == token && forget_proof(&session.key).0 == proof);

    let [(_, to_server), _] = noise.split();
    let record = client.transport.sealer.data(b"some data").expect("a record");
    let mut sealed = record[LEN_LEN..].to_vec();
    assert_eq!(opened_with(&to_server, &mut sealed), [&[0], b"some data".as_slice()].concat());
}

/// AES-256-GCM with nonce 0, by counter mode alone: the first block of data has counter 2.
fn opened_with(key: &[u8; 32], sealed: &mut Vec<u8>) -> Vec<u8> {
    let mut counter = [0; 16];
    counter[15] = 2;
    sealed.truncate(sealed.len() - 16);
    rke_proto::cipher::aes256_ctr(key, &counter, sealed);
    std::mem::take(sealed)
}
