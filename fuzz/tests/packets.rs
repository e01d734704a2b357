//! Packets of type 6 (`docs/protocol.md` section 7): the frame, the handshake under the key of the
//! vectors, answers in clear, share checks. What decodes encodes back to the same bytes, and no change
//! to a handshake verifies.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use std::sync::LazyLock;

use rke_fuzz::{corpus, memory};
use rke_proto::tunnel::answer::{self, Form, LongForm};
use rke_proto::tunnel::packet::{self, TRAILER};
use rke_proto::tunnel::share_check::ShareCheck;
use rke_proto::tunnel::{ClientKeyId, Handshake, HandshakeNonce};
use serde_json::Value;

rke_fuzz::target!(tunnel_packet, check_packet);
rke_fuzz::target!(tunnel_handshake_nonce, check_nonce);
rke_fuzz::target!(tunnel_handshake, check_handshake);
rke_fuzz::target!(tunnel_answer, check_answer);
rke_fuzz::target!(tunnel_share_check, check_share_check);

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../vectors/content-server.json");
    serde_json::from_str(text).expect("the vectors are JSON")
});

const HEADER_LEN: usize = packet::HEADER_LEN;

fn known(path: &str) -> Vec<u8> {
    hex::decode(VECTORS.pointer(path).and_then(Value::as_str).expect(path)).expect("hex")
}

fn known_payload(path: &str) -> Vec<u8> {
    let mut packet = known(path);
    packet::split(&mut packet).expect("a packet").1.to_vec()
}

fn check_packet(bytes: &[u8]) -> bool {
    let mut packet = bytes.to_vec();
    let Ok((header, payload)) = memory::none(|| packet::split(&mut packet)) else { return false };
    assert_eq!(usize::from(header.payload_len), payload.len());
    assert_eq!([&header.to_bytes(), &*payload, &TRAILER].concat(), bytes);
    true
}

fn check_nonce(bytes: &[u8]) -> bool {
    let Some((nonce, [])) = bytes.split_first_chunk() else { return false };
    let decoded = memory::none(|| HandshakeNonce::decode(nonce));
    decoded.is_ok_and(|decoded| {
        assert_eq!(decoded.to_bytes(), *nonce);
        true
    })
}

/// Under the key of the vectors nothing opens but the two handshakes that are known. The HMAC of the
/// first does not cover the header, so what counts is the counter block and the payload. The other
/// bytes of the nonce say which key is meant, and that is given here.
fn check_handshake(bytes: &[u8]) -> bool {
    let mut packet = bytes.to_vec();
    let Ok((header, payload)) = packet::split(&mut packet) else { return false };
    let key = known("/key").try_into().expect("a key");
    let opened = Handshake::open(&key, &header, payload).is_ok();
    let honest = ["/handshake", "/handshake_that_covers_its_header"].map(known);
    let is_known = honest.iter().any(|known| known[8..24] == bytes[8..24] && known[32..] == bytes[32..]);
    assert!(!opened || is_known, "a changed handshake verifies");
    opened
}

fn check_answer(payload: &[u8]) -> bool {
    let clear = |long| match memory::none(|| answer::form(payload, long)) {
        Ok(Form::Clear(answer, tag)) => {
            let packet = answer.in_clear(ClientKeyId([0; 5]), [0; 24]);
            let tag = tag.map_or(&[][..], |tag| tag);
            let encoded = [&packet[HEADER_LEN..packet.len() - TRAILER.len()], tag].concat();
            assert_eq!(encoded, payload);
            true
        }
        Ok(Form::Encrypted) | Err(_) => false,
    };
    clear(LongForm::Encrypted) | clear(LongForm::Clear)
}

fn check_share_check(payload: &[u8]) -> bool {
    let taken = memory::none(|| ShareCheck::decode(payload)).is_ok();
    assert_eq!(taken, payload.len() == 108 && payload.starts_with(b"RKESHARE"));
    taken
}

#[test]
fn the_corpora_have_the_packets_of_the_vectors() {
    let good = |name: &str, bytes: Vec<u8>| (format!("good_{name}"), bytes);
    let refused = |name: &str, bytes: Vec<u8>| (format!("refused_{name}"), bytes);
    let handshake = known("/handshake");
    let cut = handshake[..handshake.len() - 1].to_vec();
    let other_trailer = [&handshake[..handshake.len() - 2], &[0x3E, 0x3E]].concat();
    let mut other_type = handshake.clone();
    other_type[0] = 5;
    corpus::holds(
        "tunnel_packet",
        vec![
            good("handshake", handshake.clone()),
            good("share_check", known("/share_check/packet")),
            good("later_packet", known("/later_packet/packet")),
            refused("cut", cut),
            refused("trailer_of_udp", other_trailer),
            refused("another_type", other_type),
            refused("left_over", [handshake.clone(), vec![0]].concat()),
        ],
    );
    let nonce = handshake[8..32].to_vec();
    let (mut no_key_set, mut raida_25) = (nonce.clone(), nonce.clone());
    no_key_set[17] = 0;
    raida_25[0] = 0x02;
    corpus::holds(
        "tunnel_handshake_nonce",
        vec![good("of_the_vectors", nonce), refused("key_set_0", no_key_set), refused("raida_25", raida_25)],
    );
    let mut altered = handshake.clone();
    altered[60] ^= 1;
    corpus::holds(
        "tunnel_handshake",
        vec![
            good("over_the_payload", handshake),
            good("over_the_header_too", known("/handshake_that_covers_its_header")),
            refused("altered", altered),
            refused("a_later_packet", known("/later_packet/packet")),
        ],
    );
    let unknown_key = known_payload("/unknown_key_answer");
    let mut raida_25 = unknown_key.clone();
    raida_25[21] = 0x02;
    corpus::holds(
        "tunnel_answer",
        vec![
            good("unknown_key", unknown_key.clone()),
            good("to_a_share_check", known_payload("/share_check/answer")),
            refused("raida_25", raida_25),
            refused("cut", unknown_key[..24].to_vec()),
        ],
    );
    let check = known_payload("/share_check/packet");
    corpus::holds(
        "tunnel_share_check",
        vec![
            good("of_the_vectors", check.clone()),
            refused("cut", check[..107].to_vec()),
            refused("another_magic", [b"RKESHARD", &check[8..]].concat()),
        ],
    );
}
