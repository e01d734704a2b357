//! What is left in the process after a handshake: nothing from which a session's key follows. The scan covers the heap,
//! all stacks and the registers, and finds scratch stacks that were not wiped.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use rke_secret::memory_scan::Fingerprint;
use rke_secret::process::block_signals;

use super::*;
use crate::cipher::add_schedule;
use crate::handshake::kem::{self, PUBLIC_KEY_LEN};
use crate::handshake::noise::SymmetricState;
use crate::handshake::packet::Response;
use crate::handshake::record::LEN_LEN;
use crate::handshake::{Transport, keys};

/// All that may be looked for: a secret, the blocks with which it keys an HMAC, and its AES schedule.
fn add(to: &mut Fingerprint, secret: &Secret<32>) {
    for mask in [0x36, 0x5C] {
        let masked = |bytes: &mut [u8; 32]| {
            secret.expose(|secret| {
                bytes.iter_mut().zip(secret).for_each(|(byte, secret)| *byte = secret ^ mask)
            });
        };
        to.add(&Secret::fill(masked).expect("secret memory"));
    }
    add_schedule(to, secret).expect("secret memory");
}

/// Shares, seeds and all that comes of them are drawn here, so that no copy of them lies in the program's constants.
fn random() -> Secret<32> {
    Secret::random().expect("random bytes")
}

fn add_transport(to: &mut Fingerprint, transport: &Transport) {
    add(to, transport.sealer.0.cipher.key());
    add(to, transport.opener.0.cipher.key());
}

fn add_accepted(to: &mut Fingerprint, accepted: &Accepted) {
    add(to, &accepted.secrets.key);
    add(to, &accepted.secrets.resumption);
    for function in [keys::ctr_key, keys::seal_key, keys::export_key] {
        add(to, &Secret::fill(|out| accepted.secrets.key.expose(|key| function(key, out))).expect("memory"));
    }
    add_transport(to, &accepted.transport);
}

/// A whole handshake, with records in both directions and an attachment after it, and a fingerprint of all its secrets.
fn fingerprint_of_a_handshake() -> Fingerprint {
    let mut seen = Fingerprint::new().expect("a salt");
    let shares: Vec<Secret<32>> = (0..13).map(|_| random()).collect();
    let bytes = prologue().to_bytes();
    let psk = psk::from_shares(shares.iter(), ShareWidth::Wide, &bytes).expect("secret memory");
    shares.iter().for_each(|share| add(&mut seen, share));
    let (seed, server_seeds) = (random(), seeds());
    for secret in [&psk, &seed, &server_seeds.ml_kem, &server_seeds.x25519] {
        add(&mut seen, secret);
    }
    add_kem(&mut seen, &seed, &server_seeds);
    add_state(&mut seen, &SymmetricState::begin(&bytes, &psk).expect("secret memory"));

    let (initiator, packet) =
        Initiator::begin(&prologue(), &psk, key_of(seed), DOMAIN).expect("secret memory");
    add_state(&mut seen, &initiator.state);
    let message = &packet[bytes.len() + 2..];
    let (responder, _) = Responder::receive(&bytes, &psk, message, &server_seeds).expect("a good packet");
    add_state(&mut seen, &responder.state);
    let (response, mut server) = responder.accept(grant()).expect("secret memory");
    let Response::Accepted(message) = response else { panic!("it accepts") };
    let mut client = initiator.receive(&message).expect("a good response");
    add_accepted(&mut seen, &client);
    assert!(client.secrets.key.matches(&server.secrets.key));
    talk(&mut client.transport, &mut server.transport);
    attach(&mut seen, &client);
    seen
}

/// The shared secret, as both ends compute it.
fn add_kem(to: &mut Fingerprint, seed: &Secret<32>, of_server: &EncapsulationSeeds) {
    let public = kem::public_key(seed).expect("secret memory");
    let (ciphertext, shared) = kem::encapsulate(&public, of_server).expect("memory").expect("a good key");
    add(to, &shared);
    add(to, &kem::decapsulate(seed, &ciphertext).expect("secret memory").expect("a good ciphertext"));
}

fn add_state(to: &mut Fingerprint, state: &SymmetricState) {
    add(to, state.finish().0);
    add(to, state.cipher_key());
}

fn talk(client: &mut Transport, server: &mut Transport) {
    for (sealer, opener) in
        [(&mut client.sealer, &mut server.opener), (&mut server.sealer, &mut client.opener)]
    {
        let record = sealer.data(&[7; 1000]).expect("a record");
        opener.open(record[LEN_LEN..].to_vec()).expect("a good record");
        sealer.0.cipher.rekey();
        opener.0.cipher.rekey();
        let record = sealer.data(&[7; 1000]).expect("a record");
        opener.open(record[LEN_LEN..].to_vec()).expect("a good record");
    }
}

fn attach(seen: &mut Fingerprint, session: &Accepted) {
    let prologue = Prologue::Attach { cs_id: context().cs_id, id: session.secrets.key_id };
    let psk = keys::attach_psk(&session.secrets.key).expect("secret memory");
    add(seen, &psk);
    let (initiator, packet) =
        Initiator::begin(&prologue, &psk, ephemeral_key(), DOMAIN).expect("secret memory");
    assert!(packet.len() > PUBLIC_KEY_LEN);
    let (message, server) = accept(&packet, &psk);
    let client = initiator.receive(&message).expect("a good response");
    add_transport(seen, &client.transport);
    assert!(client.secrets.key.matches(&server.secrets.key));
}

#[test]
fn a_handshake_leaves_none_of_its_secrets_behind() {
    block_signals().expect("signals to be blocked");
    let seen = fingerprint_of_a_handshake();
    let scan = seen.scan_memory().expect("a scan");
    assert_eq!(scan.hits, 0, "{scan:?}");
    assert!(scan.scanned_bytes > 1_000_000, "{scan:?}");
}

/// Set in the child process, which keeps a copy of a key and therefore aborts.
const CHILD: &str = "RKE_PROTO_COPIED_KEY";

/// What ends a process that aborts, on Linux.
const SIGABRT: i32 = 6;

#[test]
fn a_scan_finds_a_copied_session_key_and_ends_the_process() {
    if std::env::var_os(CHILD).is_none() {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        let test = "handshake::tests::memory_scan::a_scan_finds_a_copied_session_key_and_ends_the_process";
        command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, "1");
        let output = command.output().expect("a child process");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.signal(), Some(SIGABRT), "{said}");
        assert!(said.contains("a secret that should be gone still lies in this process's memory"), "{said}");
        return;
    }
    block_signals().expect("signals to be blocked");
    let (client, _) = handshaken();
    let mut seen = Fingerprint::new().expect("a salt");
    add_accepted(&mut seen, &client);
    let leaked = client.secrets.key.expose(|key| key.to_vec());
    drop(client);
    let _ = seen.scan_memory();
    std::hint::black_box(leaked);
}
