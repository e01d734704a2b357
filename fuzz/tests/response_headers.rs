//! The two forms of a response's header: what decodes encodes back to the same bytes, except those
//! that `docs/protocol.md` section 4 gives as zero and that are not looked at.

use rke_fuzz::{corpus, memory, samples};
use rke_proto::Envelope;
use rke_proto::header::ResponseHeader;

rke_fuzz::target!(response_header_short, check_short);
rke_fuzz::target!(response_header_long, check_long);

fn check_short(datagram: &[u8]) -> bool {
    encodes_back(samples::envelope(0), datagram, &[1, 8])
}

fn check_long(datagram: &[u8]) -> bool {
    encodes_back(samples::envelope(4), datagram, &[1, 8, 12, 13, 14, 15, 22, 23])
}

fn encodes_back(to: Envelope, datagram: &[u8], ignored: &[usize]) -> bool {
    let Ok(header) = memory::none(|| ResponseHeader::decode(to, datagram)) else {
        assert!(datagram.len() < to.header_len() || (to == Envelope::Type0 && datagram[4..6] != [0, 1]));
        return false;
    };
    let mut known = datagram[..to.header_len()].to_vec();
    ignored.iter().for_each(|at| known[*at] = 0);
    let mut encoded = vec![0xEE; to.header_len()];
    header.write(&mut encoded);
    assert_eq!(encoded, known);
    assert!(header.body_len < 1 << 24);
    true
}

#[test]
fn the_corpus_has_the_headers_of_honest_answers() {
    let files = samples::answer_files();
    for (target, len) in [("response_header_short", 32), ("response_header_long", 48)] {
        let requests = samples::REQUESTS.iter().zip(files.chunks_exact(2));
        let answers = requests.filter(|(request, _)| request.header.envelope.header_len() == len);
        let headers = answers.flat_map(|(_, answers)| answers.to_vec());
        corpus::holds(target, headers.map(|(name, answer)| (name, answer[..len].to_vec())).collect());
    }
}
