//! Responses as a client opens them. Opened responses seal to the same bytes, and the client notices every change to
//! a byte that the envelope protects.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use rke_fuzz::samples::{REQUESTS, Request};
use rke_fuzz::{changes, corpus, memory, samples};
use rke_proto::envelope::{self, ResponseParts};
use rke_proto::{Envelope, RaidaIndex, Status};

rke_fuzz::target!(response, check);

/// Does what a client does to a datagram: the response's status, and the payload.
fn open(to: &Request, datagram: &mut [u8]) -> Option<(Status, usize)> {
    let key = samples::key(to.header.envelope)?;
    let response = envelope::open_response(&to.header, &samples::challenge(), key, datagram).ok()?;
    Some((response.status, response.payload.len()))
}

/// The first honest request that takes these bytes as its response, if there is one.
fn check(bytes: &[u8]) -> bool {
    REQUESTS.iter().filter(|to| opens_and_seals_back(to, bytes)).count() > 0
}

fn opens_and_seals_back(to: &Request, bytes: &[u8]) -> bool {
    samples::challenge(); // what it is read from allocates the first time
    let mut datagram = bytes.to_vec();
    let Some((status, payload_len)) = open_without_allocating(to, &mut datagram) else { return false };
    let header_len = to.header.envelope.header_len();
    let long = header_len == 48;
    let micros = if long { 4..8 } else { 12..16 };
    let parts = ResponseParts {
        raida: RaidaIndex::new(bytes[0]).expect("the index of the request"),
        status,
        challenge: Some(*samples::challenge().as_bytes()),
        execution_micros: u32::from_be_bytes(bytes[micros].try_into().expect("four bytes")),
        random: if long { bytes[24..48].try_into().expect("24 bytes") } else { [0; 24] },
    };
    let key = samples::key(to.header.envelope).expect("the key that opened it");
    let write = |out: &mut [u8]| out.copy_from_slice(&datagram[header_len..header_len + payload_len]);
    let sealed = envelope::seal_response(&to.header, key, &parts, payload_len, write).expect("secret memory");
    let ignored: &[usize] = if long { &[1, 8, 12, 13, 14, 15, 22, 23] } else { &[1, 8] };
    let mut known = bytes.to_vec();
    ignored.iter().for_each(|at| known[*at] = 0);
    assert_eq!(sealed, known);
    true
}

fn open_without_allocating(to: &Request, datagram: &mut [u8]) -> Option<(Status, usize)> {
    let challenge = samples::challenge();
    let key = samples::key(to.header.envelope)?;
    memory::none(|| {
        let response = envelope::open_response(&to.header, &challenge, key, datagram).ok()?;
        Some((response.status, response.payload.len()))
    })
}

/// Bytes of a response with a payload that no check of its envelope covers: status, execution time, ignored fields,
/// and in envelopes 0 and 1 length and payload. The counter block of envelopes 4 and 5 is in no HMAC: the challenge
/// in a wide payload protects it.
fn is_free(envelope: Envelope, at: usize) -> bool {
    match envelope {
        Envelope::Type0 | Envelope::Type1(_) => matches!(at, 1 | 2 | 8..16 | 32..),
        Envelope::Type4(_) | Envelope::Type5(..) => matches!(at, 1 | 2 | 4..9 | 12..16 | 22 | 23 | 40..46),
    }
}

#[test]
fn a_changed_answer_opens_only_where_its_envelope_protects_nothing() {
    let with_share = REQUESTS.iter().filter(|request| !request.answer.is_empty());
    let answers = with_share.map(|to| (to.name.clone(), samples::answer(to, Status::SUCCESS, &to.answer)));
    let files: Vec<corpus::File> = answers.collect();
    rke_fuzz::bolero::check!(name = "response_forged")
        .with_generator(changes::any())
        .with_iterations(2 * rke_fuzz::RUNS)
        .for_each(|changes| {
            let ((name, honest), changed) = changes.apply(&files);
            let to = REQUESTS.iter().find(|request| request.name == *name).expect("its request");
            let mut opened = changed.clone();
            let Some((_, payload_len)) = open(to, &mut opened) else { return };
            let long = to.header.envelope.header_len() == 48;
            let payload = &opened[to.header.envelope.header_len()..][..payload_len];
            if long && !payload.starts_with(samples::challenge().as_bytes()) {
                return; // without a payload it is a hint, and with another challenge it is dropped
            }
            let differs = |at: &usize| honest.get(*at) != changed.get(*at);
            let mut all = 0..honest.len().max(changed.len());
            let differs = all.find(|at| differs(at) && !is_free(to.header.envelope, *at));
            assert_eq!(differs, None, "first protected byte that differs");
        });
}

#[test]
fn an_answer_belongs_to_one_envelope_only() {
    for to in REQUESTS.iter() {
        let mut answer = samples::answer(to, Status::SUCCESS, b"payload");
        for other in REQUESTS.iter().filter(|other| other.header.envelope != to.header.envelope) {
            assert!(open(other, &mut answer.clone()).is_none(), "{} for {}", to.name, other.name);
        }
        assert_eq!(open(to, &mut answer), Some((Status::SUCCESS, 7)));
    }
}

#[test]
fn the_corpus_has_honest_answers() {
    corpus::holds("response", samples::answer_files());
}
