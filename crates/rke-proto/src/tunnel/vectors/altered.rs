//! The known packets, cut at every byte and with each bit flipped: none of them may do what the whole one does.

use super::*;

/// Where a packet has its key id, and that part of its nonce which is not in the counter block.
const KEY_ID: std::ops::Range<usize> = 3..8;
const NONCE_END: std::ops::Range<usize> = 24..32;

#[test]
fn no_known_handshake_opens_when_it_is_cut_or_altered() {
    let vectors = Vectors::read();
    for (name, covers_header) in HANDSHAKES {
        let good = hex_of(&vectors.0[name]);
        for_each_change(&good, |at, changed| {
            // A key id that no HMAC covers is another client's name for the same handshake.
            let is_free = !covers_header && KEY_ID.contains(&at) && changed.len() == good.len();
            let taken = verdict(&vectors, changed) == Status::SUCCESS;
            assert_eq!(taken, is_free, "byte {at} of {name}");
        });
    }
}

#[test]
fn no_known_answer_is_taken_when_it_is_cut_or_altered() {
    let vectors = Vectors::read();
    for (name, covered) in [
        ("packet", Covered::HeaderAndPayload),
        ("packet_of_241", Covered::HeaderAndPayload),
        ("packet_that_leaves_its_header_out", Covered::Payload),
    ] {
        let good = hex_of(&vectors.0["answer"][name]);
        for_each_change(&good, |at, changed| {
            let is_free =
                covered == Covered::Payload && NONCE_END.contains(&at) && changed.len() == good.len();
            match received(&vectors, changed) {
                Ok(()) => assert!(is_free, "byte {at} of {name}"),
                Err(error) => {
                    assert!(
                        !is_free && matches!(error, ConfirmError::Malformed(_)),
                        "byte {at} of {name}: {error}"
                    );
                }
            }
        });
    }
}

#[test]
fn no_known_refusal_establishes_a_key_when_it_is_cut_or_altered() {
    let vectors = Vectors::read();
    for (name, _, good) in vectors.cases("refusals", 5) {
        for_each_change(&good, |at, changed| {
            assert!(received(&vectors, changed).is_err(), "byte {at}: {name}");
        });
    }
}

#[test]
fn no_known_data_opens_when_it_is_cut_or_altered() {
    let vectors = Vectors::read();
    for (direction, (name, covered)) in DIRECTIONS.into_iter().flat_map(|to| COVERED.map(|form| (to, form))) {
        let good = hex_of(&vectors.0[direction][name]);
        for_each_change(&good, |at, changed| {
            let is_free =
                covered == Covered::Payload && NONCE_END.contains(&at) && changed.len() == good.len();
            let opens = opened(&vectors, changed).is_ok();
            assert_eq!(opens, is_free, "byte {at} of {direction}, {name}");
        });
    }
}

/// Cuts a packet at every byte, then flips each bit of it.
fn for_each_change(good: &[u8], mut check: impl FnMut(usize, &mut [u8])) {
    for at in 0..good.len() {
        check(at, &mut good[..at].to_vec());
        for bit in 0..8 {
            let mut altered = good.to_vec();
            altered[at] ^= 1 << bit;
            check(at, &mut altered);
        }
    }
}
