//! Packets of type 6 (`docs/protocol.md` section 8): the frame, the handshake and data under the key of the vectors,
//! and responses in the clear. Decoded packets encode to the same bytes, and no changed handshake or data opens.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use std::sync::LazyLock;

use rke_fuzz::{corpus, memory};
use rke_proto::tunnel::packet::{self, TRAILER};
use rke_proto::tunnel::response::{self, Form};
use rke_proto::tunnel::{ClientKeyId, Covered, Handshake, HandshakeNonce};
use serde_json::Value;

rke_fuzz::target!(tunnel_packet, check_packet);
rke_fuzz::target!(tunnel_handshake_nonce, check_nonce);
rke_fuzz::target!(tunnel_handshake, check_handshake);
rke_fuzz::target!(tunnel_answer, check_answer);
rke_fuzz::target!(tunnel_data, check_data);

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../vectors/content-server.json");
    serde_json::from_str(text).expect("the vectors are JSON")
});

const HEADER_LEN: usize = packet::HEADER_LEN;

const HANDSHAKES: [(&str, Covered); 4] = [
    ("/handshake", Covered::Payload),
    ("/handshake_that_covers_its_header", Covered::HeaderAndPayload),
    ("/short_handshake", Covered::Payload),
    ("/short_handshake_that_covers_its_header", Covered::HeaderAndPayload),
];

const DATA: [(&str, Covered); 4] = [
    ("/data_to_the_server/header_and_payload", Covered::HeaderAndPayload),
    ("/data_to_the_server/payload", Covered::Payload),
    ("/data_to_the_client/header_and_payload", Covered::HeaderAndPayload),
    ("/data_to_the_client/payload", Covered::Payload),
];

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

/// Under the key of the vectors only the known handshakes open. If the HMAC does not cover the header, only the
/// counter block and the payload matter. The other bytes of the nonce identify the key, which is fixed here.
fn check_handshake(bytes: &[u8]) -> bool {
    let mut packet = bytes.to_vec();
    let Ok((header, payload)) = packet::split(&mut packet) else { return false };
    let key = known("/key").try_into().expect("a key");
    let opened = memory::none(|| Handshake::open(&key, &header, payload)).is_ok();
    assert_eq!(opened, is_known(bytes, &HANDSHAKES), "a changed handshake opens");
    opened
}

/// Under the key of the vectors only their packets of data open.
fn check_data(bytes: &[u8]) -> bool {
    let mut packet = bytes.to_vec();
    let Ok((header, payload)) = packet::split(&mut packet) else { return false };
    let key = known("/key").try_into().expect("a key");
    let session = known("/session").try_into().expect("a session identifier");
    let opened = memory::none(|| packet::open_data(&key, &header, &session, payload).is_ok());
    assert_eq!(opened, is_known(bytes, &DATA), "changed data opens");
    opened
}

fn is_known(packet: &[u8], paths: &[(&str, Covered)]) -> bool {
    paths.iter().any(|(path, covered)| {
        let known = known(path);
        match covered {
            Covered::HeaderAndPayload => known == packet,
            Covered::Payload => known[8..24] == packet[8..24] && known[HEADER_LEN..] == packet[HEADER_LEN..],
        }
    })
}

fn check_answer(payload: &[u8]) -> bool {
    let Ok(Form::Clear(answer)) = memory::none(|| response::form(payload)) else { return false };
    assert!(!answer.is_established(), "an answer in the clear establishes a key");
    let packet = answer.in_clear(ClientKeyId([0; 5]), [0; 24]);
    assert_eq!(packet[HEADER_LEN..packet.len() - TRAILER.len()], *payload);
    true
}

#[test]
fn the_corpora_have_the_packets_of_the_vectors() {
    let good = |name: &str, bytes: Vec<u8>| (format!("good_{name}"), bytes);
    let refused = |name: &str, bytes: Vec<u8>| (format!("refused_{name}"), bytes);
    let handshake = known("/handshake");
    let later_packet = known("/data_to_the_server/header_and_payload");
    let cut = handshake[..handshake.len() - 1].to_vec();
    let other_trailer = [&handshake[..handshake.len() - 2], &[0x3E, 0x3E]].concat();
    let mut other_type = handshake.clone();
    other_type[0] = 5;
    corpus::holds(
        "tunnel_packet",
        vec![
            good("handshake", handshake.clone()),
            good("later_packet", later_packet.clone()),
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
            good("over_the_payload", handshake.clone()),
            good("over_the_header_too", known("/handshake_that_covers_its_header")),
            good("short", known("/short_handshake")),
            good("short_over_the_header_too", known("/short_handshake_that_covers_its_header")),
            refused("altered", altered),
            refused("a_later_packet", later_packet.clone()),
        ],
    );
    let mut altered = later_packet.clone();
    altered[45] ^= 1;
    corpus::holds(
        "tunnel_data",
        vec![
            good("to_the_server", later_packet),
            good("to_the_server_over_the_payload", known("/data_to_the_server/payload")),
            good("to_the_client", known("/data_to_the_client/header_and_payload")),
            good("to_the_client_over_the_payload", known("/data_to_the_client/payload")),
            refused("altered", altered),
            refused("a_handshake", handshake),
        ],
    );
    let unknown_key = known_payload("/refusals/3/packet");
    let (mut raida_25, mut established) = (unknown_key.clone(), unknown_key.clone());
    raida_25[21] = 0x02;
    established[0] = 250;
    corpus::holds(
        "tunnel_answer",
        vec![
            good("unknown_key", unknown_key.clone()),
            refused("raida_25", raida_25),
            refused("established", established),
            refused("cut", unknown_key[..24].to_vec()),
            refused("encrypted", known_payload("/answer/packet")),
        ],
    );
}
