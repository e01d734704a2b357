//! The header of a request: what decodes encodes back to the same bytes, and what does not decode is
//! refused for the reason that `docs/protocol.md` section 4.6 gives.

use rke_fuzz::{corpus, memory, samples};
use rke_proto::Envelope;
use rke_proto::header::{HeaderError, RequestHeader};

rke_fuzz::target!(request_header, check);

fn check(datagram: &[u8]) -> bool {
    match memory::none(|| RequestHeader::decode(datagram)) {
        Ok(header) => {
            let len = header.envelope.header_len();
            let mut encoded = vec![0xEE; len];
            header.write(&mut encoded);
            assert_eq!(encoded, without_ignored_bytes(&header, &datagram[..len]));
            assert_eq!(header.echo(), encoded[len - 2..]);
            true
        }
        Err(HeaderError::UnknownEnvelope { raida, group, echo }) => {
            assert!(has_the_constants(datagram) && !matches!(datagram[16], 0 | 1 | 4 | 5));
            assert_eq!((raida, group, echo.as_slice()), (datagram[2], datagram[4], &datagram[30..32]));
            false
        }
        Err(HeaderError::NotARequest) => {
            let header_len = if matches!(datagram.get(16), Some(4 | 5)) { 48 } else { 32 };
            assert!(datagram.len() < header_len || !has_the_constants(datagram));
            false
        }
    }
}

/// The fixed bytes of section 3.1.
fn has_the_constants(datagram: &[u8]) -> bool {
    datagram[..2] == [1, 0] && datagram[3] == 0 && datagram[6..16] == [0, 6, 0, 0, 0, 0, 0, 0, 1, 1]
}

/// The zeros of envelope 0 are not looked at.
fn without_ignored_bytes(header: &RequestHeader, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    if header.envelope == Envelope::Type0 {
        bytes[17..22].fill(0);
        bytes[24..30].fill(0);
    }
    bytes
}

#[test]
fn the_corpus_has_the_headers_of_the_honest_requests() {
    let headers = samples::REQUESTS.iter().map(|request| {
        let header = &request.datagram[..request.header.envelope.header_len()];
        (format!("good_{}", request.name), header.to_vec())
    });
    corpus::holds("request_header", headers.collect());
}
