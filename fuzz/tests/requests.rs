//! Requests as a node opens them: frame, HMAC, challenge and body. Opened requests seal to the same bytes, and the
//! node notices every change to a byte that the envelope protects.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use rke_fuzz::{changes, corpus, memory, samples};
use rke_proto::command;
use rke_proto::envelope::{self, RequestParts};
use rke_proto::header::RequestHeader;
use rke_proto::{Envelope, RaidaIndex};

rke_fuzz::target!(request, check);

/// Does what a node does to a datagram: its header and where it lies open, up to the challenge.
fn open(datagram: &mut [u8]) -> Option<RequestHeader> {
    let header = RequestHeader::decode(datagram).ok()?;
    envelope::check_request_frame(&header, datagram).ok()?;
    let key = samples::key(header.envelope)?;
    let body = envelope::open_request(&header, key, datagram).ok()?;
    command::split_challenge(body).ok()?;
    Some(header)
}

fn check(bytes: &[u8]) -> bool {
    std::sync::LazyLock::force(&samples::REQUESTS); // its keys allocate
    let mut datagram = bytes.to_vec();
    let Some(header) = memory::none(|| open(&mut datagram)) else { return false };
    let header_len = header.envelope.header_len();
    let tail_len = if header_len == 48 { 34 } else { 2 };
    let body = &datagram[header_len..datagram.len() - tail_len];
    assert_eq!(header_len + usize::from(header.body_len), bytes.len());
    assert!(bytes.ends_with(&[0x3E, 0x3E]));
    if let Some(raida) = RaidaIndex::new(header.raida) {
        let parts = RequestParts {
            raida,
            command: (header.group, header.command),
            envelope: header.envelope,
            random: random_of(&header, bytes),
        };
        let key = samples::key(header.envelope).expect("the key that opened it");
        let write = |out: &mut [u8]| out.copy_from_slice(body);
        let (again, mut sealed) = envelope::unsealed_request(&parts, body.len());
        envelope::seal_request(&again, key, &mut sealed, write).expect("secret memory");
        assert_eq!(again, header);
        assert_eq!(sealed[header_len..], bytes[header_len..]);
    }
    true
}

/// The random bytes that the header was made from.
fn random_of(header: &RequestHeader, datagram: &[u8]) -> [u8; 24] {
    let taken = match header.envelope {
        Envelope::Type0 => 2,
        Envelope::Type1(_) => 8,
        Envelope::Type4(_) | Envelope::Type5(..) => 24,
    };
    let end = header.envelope.header_len();
    let mut random = [0; 24];
    random[24 - taken..].copy_from_slice(&datagram[end - taken..end]);
    random
}

/// Bytes of a request that no check of its envelope covers. A RAIDA compares the first with its own
/// index; group and command are in no HMAC; envelopes 0 and 1 protect nothing after the challenge.
fn is_free(envelope: Envelope, at: usize) -> bool {
    let anywhere = matches!(at, 2 | 4 | 5);
    anywhere
        || match envelope {
            Envelope::Type0 => matches!(at, 17..32 | 48..),
            Envelope::Type1(_) => matches!(at, 22 | 23 | 48..),
            Envelope::Type4(_) | Envelope::Type5(..) => (40..48).contains(&at),
        }
}

#[test]
fn a_changed_request_opens_only_where_its_envelope_protects_nothing() {
    let files: Vec<_> = samples::request_files();
    bolero_check(&files);
}

fn bolero_check(files: &[corpus::File]) {
    rke_fuzz::bolero::check!(name = "request_forged")
        .with_generator(changes::any())
        .with_iterations(2 * rke_fuzz::RUNS)
        .for_each(|changes| {
            let ((_, honest), changed) = changes.apply(files);
            let Some(header) = open(&mut changed.clone()) else { return };
            let protected = honest.len().max(changed.len());
            let differs = |at: &usize| honest.get(*at) != changed.get(*at);
            let differs = (0..protected).find(|at| differs(at) && !is_free(header.envelope, *at));
            assert_eq!(differs, None, "first protected byte that differs");
        });
}

#[test]
fn any_body_opens_to_what_was_sealed() {
    rke_fuzz::bolero::check!(name = "request_sealed")
        .with_type::<(u8, [u8; 24], Vec<u8>)>()
        .with_iterations(rke_fuzz::RUNS)
        .for_each(|(kind, random, body)| {
            let envelope = samples::envelope([0, 1, 4, 5][usize::from(kind % 4)]);
            let key = samples::key(envelope).expect("a known coin");
            let parts =
                RequestParts { raida: samples::raida(), command: (15, *kind), envelope, random: *random };
            let write = |out: &mut [u8]| out.copy_from_slice(body);
            let (header, mut datagram) = envelope::unsealed_request(&parts, body.len());
            envelope::seal_request(&header, key, &mut datagram, write).expect("secret memory");
            assert_eq!(RequestHeader::decode(&datagram), Ok(header));
            assert_eq!(envelope::check_request_frame(&header, &datagram), Ok(()));
            let opened = envelope::open_request(&header, key, &mut datagram);
            assert_eq!(opened.map(|opened| &*opened), Ok(body.as_slice()));
        });
}

#[test]
fn the_corpus_has_the_honest_requests() {
    corpus::holds("request", samples::request_files());
}
