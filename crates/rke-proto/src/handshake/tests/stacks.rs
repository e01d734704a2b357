//! How far down the scratch stacks a handshake gets. What it does with a KEM has a stack of its own, measured in `kem`.

use rke_secret::measure_scoped;
use rke_secret::process::block_signals;

use super::*;
use crate::handshake::record::LEN_LEN;

/// Whole calls, with what they do where nothing is exposed: that is more than runs on such a stack.
fn assert_twice_as_deep(what: &str, work: impl FnMut()) {
    block_signals().expect("signals to be blocked");
    let (used, depth) = measure_scoped(work).expect("secret memory");
    assert!(2 * used <= depth, "{what}: {used} of {depth} bytes");
}

#[test]
fn each_step_of_a_handshake_has_twice_the_stack_that_it_needs() {
    let begin = || Initiator::begin(&prologue(), &psk(), ephemeral_key(), DOMAIN).expect("secret memory");
    assert_twice_as_deep("begin", || drop(begin()));
    let (_, packet) = begin();
    assert_twice_as_deep("receive and accept", || drop(accept(&packet, &psk())));
    // Enough for a measure, which takes some: each can be received once.
    let mut answered: Vec<_> = (0..8)
        .map(|_| {
            let (initiator, packet) = begin();
            (initiator, accept(&packet, &psk()).0)
        })
        .collect();
    assert_twice_as_deep("receive the response", || {
        let (initiator, message) = answered.pop().expect("one more");
        assert!(initiator.receive(&message).is_ok());
    });
}

#[test]
fn records_have_twice_the_stack_that_they_need() {
    let (mut client, mut server) = handshaken();
    assert_twice_as_deep("records", || {
        let record = client.transport.sealer.data(&[7; 16_384]).expect("a record");
        server.transport.opener.open(record[LEN_LEN..].to_vec()).expect("a good record");
        client.transport.sealer.0.cipher.rekey();
        server.transport.opener.0.cipher.rekey();
    });
}
