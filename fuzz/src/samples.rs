//! Honest packets: those of `vectors/rke-vectors.json`, preloads, and the answers to all of them.
//! The key ring is that of a node which knows the two coins of the vectors and no others.

use std::sync::LazyLock;

use rke_proto::coin::CoinId;
use rke_proto::command::{Command, Preloading};
use rke_proto::envelope::{self, RequestParts, ResponseParts};
use rke_proto::header::RequestHeader;
use rke_proto::{Challenge, ContentServerId, Envelope, EnvelopeKey, KeySetId, RaidaIndex, Status};
use rke_secret::Secret;
use serde_json::Value;

use crate::corpus::File;

/// A request that was sealed by an honest client.
pub struct Request {
    /// What it is.
    pub name: String,
    pub datagram: Vec<u8>,
    pub header: RequestHeader,
    /// The payload of an honest response.
    pub answer: Vec<u8>,
}

struct KeyRing {
    type_1: EnvelopeKey,
    type_4: EnvelopeKey,
    type_5: EnvelopeKey,
}

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../vectors/rke-vectors.json");
    serde_json::from_str(text).expect("the vectors are JSON")
});

static KEYS: LazyLock<KeyRing> = LazyLock::new(|| {
    let an = |name: &str| -> Secret<16> {
        let bytes = bytes(&VECTORS[name]["an_of_raida_7"]).try_into().expect("an AN");
        Secret::fill(|an| *an = bytes).expect("secret memory")
    };
    let (first, second) = (an("coin_1"), an("coin_2"));
    KeyRing {
        type_1: EnvelopeKey::of(envelope(1), &[&first]).expect("secret memory"),
        type_4: EnvelopeKey::of(envelope(4), &[&first]).expect("secret memory"),
        type_5: EnvelopeKey::of(envelope(5), &[&first, &second]).expect("secret memory"),
    }
});

/// The honest requests, made once.
pub static REQUESTS: LazyLock<Vec<Request>> = LazyLock::new(|| {
    let packets = VECTORS["packets"].as_object().expect("packets").iter();
    let known = packets.map(|(name, packet)| request(name, bytes(packet)));
    let preloads = [Preloading::Public, Preloading::Dated(PRELOADED_AT)];
    known
        .chain(preloads.into_iter().flat_map(|preloading| [4, 5].map(|kind| preload(kind, preloading))))
        .collect()
});

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a hex string")).expect("hex")
}

/// A coin of the vectors.
pub fn coin(name: &str) -> CoinId {
    let number = |field: &str| VECTORS[name][field].as_u64().expect("a number");
    CoinId { denomination: number("denomination") as i8, serial: number("serial") as u32 }
}

/// The challenge of every honest request.
pub fn challenge() -> Challenge {
    Challenge::decode(bytes(&VECTORS["challenge"]).try_into().expect("16 bytes")).expect("a right CRC")
}

/// The body of a key share request in the vectors, the challenge included.
pub fn share_request() -> Vec<u8> {
    bytes(&VECTORS["get_key_share_body"])
}

/// When the honest preload by command 33 was made.
pub const PRELOADED_AT: u64 = 1_785_312_000;

/// The body of a preload, the challenge included.
pub fn preload_body(preloading: Preloading) -> Vec<u8> {
    let cs_id = ContentServerId::new("CLOUDCOIN_CONTENT").expect("an ID");
    let master = Secret::fill(|master| *master = [0x5A; 32]).expect("secret memory");
    let key_sets = [1, 255].map(|key_set| (KeySetId::new(key_set).expect("a key set"), &master));
    let mut body = vec![0; preloading.body_len(&cs_id, key_sets.len())];
    preloading.write(&challenge(), &cs_id, &key_sets, &mut body);
    body
}

/// The envelope of a type, with the coins of the vectors.
pub fn envelope(wire_type: u8) -> Envelope {
    match wire_type {
        0 => Envelope::Type0,
        1 => Envelope::Type1(coin("coin_1")),
        4 => Envelope::Type4(coin("coin_1")),
        _ => Envelope::Type5(coin("coin_1"), coin("coin_2")),
    }
}

/// The key to an envelope, where the node knows its coins.
pub fn key(of: Envelope) -> Option<&'static EnvelopeKey> {
    if of != envelope(of.wire_type()) {
        return None;
    }
    Some(match of {
        Envelope::Type0 => &EnvelopeKey::None,
        Envelope::Type1(_) => &KEYS.type_1,
        Envelope::Type4(_) => &KEYS.type_4,
        Envelope::Type5(..) => &KEYS.type_5,
    })
}

/// RAIDA 7, which all of these ask.
pub fn raida() -> RaidaIndex {
    RaidaIndex::new(7).expect("RAIDA 7")
}

fn preload(wire_type: u8, preloading: Preloading) -> Request {
    let body = preload_body(preloading);
    let envelope = envelope(wire_type);
    let random = std::array::from_fn(|at| 0x40 + at as u8);
    let parts = RequestParts { raida: raida(), command: preloading.command().to_wire(), envelope, random };
    let key = key(envelope).expect("a known coin");
    let write = |out: &mut [u8]| out.copy_from_slice(&body);
    let (header, mut datagram) = envelope::unsealed_request(&parts, body.len());
    envelope::seal_request(&header, key, &mut datagram, write).expect("secret memory");
    let name = match preloading {
        Preloading::Public => "preload",
        Preloading::Dated(_) => "preload_key_set",
    };
    request(&format!("type_{wire_type}_{name}"), datagram)
}

fn request(name: &str, datagram: Vec<u8>) -> Request {
    let header = RequestHeader::decode(&datagram).expect("a header");
    let answer = match Command::from_wire(header.group, header.command) {
        Some(Command::GetKeyShare) => vec![0x36],
        Some(Command::GetWideKeyShare) => [challenge().as_bytes().as_slice(), &[0xA5; 32]].concat(),
        Some(Command::PreloadKeySet) => challenge().as_bytes().to_vec(),
        Some(Command::Version) => b"00.01.00".to_vec(),
        Some(Command::Echo | Command::PreloadMasterKey) | None => Vec::new(),
    };
    Request { name: name.to_owned(), datagram, header, answer }
}

/// An honest answer to a request.
pub fn answer(to: &Request, status: Status, payload: &[u8]) -> Vec<u8> {
    let parts = ResponseParts {
        raida: raida(),
        status,
        challenge: Some(*challenge().as_bytes()),
        execution_micros: 0x0102_0304,
        random: std::array::from_fn(|at| 0xA0 + at as u8),
    };
    let key = key(to.header.envelope).expect("a known coin");
    let write = |out: &mut [u8]| out.copy_from_slice(payload);
    envelope::seal_response(&to.header, key, &parts, payload.len(), write).expect("secret memory")
}

/// The honest requests as files of a corpus.
pub fn request_files() -> Vec<File> {
    REQUESTS.iter().map(|request| (format!("good_{}", request.name), request.datagram.clone())).collect()
}

/// Two honest answers to each request, one of success and one of refusal, as files of a corpus.
pub fn answer_files() -> Vec<File> {
    let files = REQUESTS.iter().flat_map(|request| {
        let success = answer(request, Status::SUCCESS, &request.answer);
        let refusal = answer(request, Status::NO_SUCH_KEY_SET, &[]);
        [(format!("good_{}", request.name), success), (format!("good_{}_refused", request.name), refusal)]
    });
    files.collect()
}
