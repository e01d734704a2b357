//! The known answers of `vectors/rke-vectors.json` up to the shares and the narrow key, checked against this
//! implementation. Those of the handshake are checked where it is.

use rke_secret::Secret;
use serde_json::Value;

use crate::coin::{CoinId, CoinPair};
use crate::command::{self, Command, SHARE_REQUEST_LEN};
use crate::derive::{self, ShareKind};
use crate::envelope::{self, Counter, RequestParts, ResponseParts};
use crate::header::RequestHeader;
use crate::{
    Challenge, ClientSn, ContentServerId, DecodeError, Envelope, EnvelopeKey, KeyContext, KeySetId,
    RaidaIndex, Status,
};

fn vectors() -> Value {
    let text = include_str!("../../../vectors/rke-vectors.json");
    serde_json::from_str(text).expect("the vectors are JSON")
}

fn bytes<const N: usize>(value: &Value) -> [u8; N] {
    let text = value.as_str().expect("a hex string");
    hex::decode(text.trim_start_matches("0x")).expect("hex").try_into().expect("the right length")
}

fn context(vectors: &Value) -> KeyContext {
    KeyContext {
        cs_id: ContentServerId::new(vectors["cs_id"].as_str().expect("a name")).expect("a CSID"),
        key_set: KeySetId::new(vectors["kid"].as_u64().expect("a number") as u8).expect("a key set"),
        client_sn: ClientSn(bytes(&vectors["client_sn"])),
        timestamp: vectors["timestamp"].as_u64().expect("a number"),
    }
}

fn challenge(vectors: &Value) -> Challenge {
    Challenge::decode(bytes(&vectors["challenge"])).expect("a challenge whose CRC matches")
}

fn coin(vectors: &Value, name: &str) -> (CoinId, Secret<16>) {
    let coin = &vectors[name];
    let id = CoinId {
        denomination: coin["denomination"].as_i64().expect("a number") as i8,
        serial: coin["serial"].as_u64().expect("a number") as u32,
    };
    (id, Secret::fill(|an| *an = bytes(&coin["an_of_raida_7"])).expect("secret memory"))
}

/// A packet of the vectors: its name, its envelope, its key and the random bytes of its header.
fn packets(vectors: &Value) -> Vec<(&'static str, Command, Envelope, EnvelopeKey, [u8; 24])> {
    let (one, an_1) = coin(vectors, "coin_1");
    let (two, an_2) = coin(vectors, "coin_2");
    let counting = |first: u8, from: usize| {
        std::array::from_fn(|at| if at < from { 0 } else { first + (at - from) as u8 })
    };
    let mut echo = [0; 24];
    echo[22..].copy_from_slice(&[0xAB, 0xCD]);
    let wide = Command::GetWideKeyShare;
    let narrow = Command::GetKeyShare;
    vec![
        ("type_0_get_key_share", narrow, Envelope::Type0, EnvelopeKey::None, echo),
        (
            "type_1_get_key_share_nonce_0102030405060708",
            narrow,
            Envelope::Type1(one),
            EnvelopeKey::of(Envelope::Type1(one), &[&an_1]).expect("secret memory"),
            counting(1, 16),
        ),
        (
            "type_4_get_wide_key_share_nonce_00to17",
            wide,
            Envelope::Type4(one),
            EnvelopeKey::of(Envelope::Type4(one), &[&an_1]).expect("secret memory"),
            counting(0, 0),
        ),
        (
            "type_5_get_wide_key_share_nonce_tail_00to12",
            wide,
            Envelope::Type5(one, two),
            EnvelopeKey::of(Envelope::Type5(one, two), &[&an_1, &an_2]).expect("secret memory"),
            counting(0, 5),
        ),
    ]
}

#[test]
fn requests_seal_to_the_known_packets() {
    let vectors = vectors();
    for (name, command, envelope, key, random) in packets(&vectors) {
        let raida = RaidaIndex::new(7).expect("RAIDA 7");
        let parts = RequestParts { raida, command: command.to_wire(), envelope, random };
        let (header, mut datagram) = envelope::unsealed_request(&parts, SHARE_REQUEST_LEN);
        envelope::seal_request(&header, &key, &mut datagram, |body| {
            command::write_share_request(&challenge(&vectors), &context(&vectors), body);
        })
        .expect("secret memory");
        assert_eq!(hex::encode(datagram), vectors["packets"][name].as_str().expect(name), "{name}");
    }
}

#[test]
fn known_packets_open_to_the_request() {
    let vectors = vectors();
    for (name, command, envelope, key, _) in packets(&vectors) {
        let mut datagram = hex::decode(vectors["packets"][name].as_str().expect(name)).expect("hex");
        let header = RequestHeader::decode(&datagram).expect("a header");
        assert_eq!((header.raida, header.envelope), (7, envelope), "{name}");
        assert_eq!(Command::from_wire(header.group, header.command), Some(command), "{name}");
        assert_eq!(envelope::check_request_frame(&header, &datagram), Ok(()), "{name}");
        let body = envelope::open_request(&header, &key, &mut datagram).expect("an open body");
        let known: [u8; SHARE_REQUEST_LEN] = bytes(&vectors["get_key_share_body"]);
        assert_eq!(*body, known, "{name}");
        let (opened, rest) = command::split_challenge(body).expect("a challenge");
        assert_eq!(opened, challenge(&vectors));
        assert_eq!(command::decode_share_request(rest), Ok(context(&vectors)));
    }
}

#[test]
fn no_cut_of_a_known_packet_opens() {
    let vectors = vectors();
    for (name, _, _, key, _) in packets(&vectors) {
        let whole = hex::decode(vectors["packets"][name].as_str().expect(name)).expect("hex");
        for len in 0..whole.len() {
            let mut cut = whole[..len].to_vec();
            if let Ok(header) = RequestHeader::decode(&cut) {
                assert!(envelope::check_request_frame(&header, &cut).is_err(), "{name} cut at {len}");
                let _ = envelope::open_request(&header, &key, &mut cut);
            }
        }
    }
}

#[test]
fn a_key_of_another_kind_opens_no_envelope_with_an_hmac() {
    let vectors = vectors();
    let packets = packets(&vectors);
    for (name, _, envelope, _, _) in packets.iter().filter(|packet| packet.2.header_len() == 48) {
        for (other, _, _, key, _) in &packets {
            let mut datagram = hex::decode(vectors["packets"][name].as_str().expect(name)).expect("hex");
            let header = RequestHeader::decode(&datagram).expect("a header");
            assert_eq!(header.envelope, *envelope);
            let opened = envelope::open_request(&header, key, &mut datagram);
            assert_eq!(opened.is_ok(), name == other, "{name} with the key of {other}");
        }
    }
}

#[test]
fn an_answer_without_a_payload_has_no_body() {
    let vectors = vectors();
    for (name, _, _, key, _) in packets(&vectors) {
        let request = hex::decode(vectors["packets"][name].as_str().expect(name)).expect("hex");
        let header = RequestHeader::decode(&request).expect("a header");
        let challenge = challenge(&vectors);
        let parts = ResponseParts {
            raida: RaidaIndex::new(7).expect("RAIDA 7"),
            status: Status::SUCCESS,
            challenge: Some(*challenge.as_bytes()),
            execution_micros: 0,
            random: [0; 24],
        };
        let mut answer =
            envelope::seal_response(&header, &key, &parts, 1, |payload| payload[0] = 1).expect("memory");
        assert!(envelope::open_response(&header, &challenge, &key, &mut answer.clone()).is_ok(), "{name}");
        answer.remove(header.envelope.header_len());
        answer[11] -= 1;
        if let (EnvelopeKey::Aes256(key), 48..) = (&key, answer.len()) {
            let tag = key.expose(|key| crate::cipher::hmac_sha256(key, &[]));
            answer[48..80].copy_from_slice(&tag);
        }
        let opened = envelope::open_response(&header, &challenge, &key, &mut answer);
        assert_eq!(opened.map(drop), Err(DecodeError::Mismatch("the body length")), "{name}");
    }
}

/// Computed with openssl: the keystream of the AN at counter block 0, and at 3, behind the 46 bytes of the request's body.
#[test]
fn a_share_in_envelope_1_is_the_known_one_in_either_form() {
    let vectors = vectors();
    let (_, _, _, key, _) =
        packets(&vectors).into_iter().find(|packet| packet.2.wire_type() == 1).expect("type 1");
    let name = "type_1_get_key_share_nonce_0102030405060708";
    let request = hex::decode(vectors["packets"][name].as_str().expect(name)).expect("hex");
    let header = RequestHeader::decode(&request).expect("a header");
    let challenge = challenge(&vectors);
    for (counter, other, share) in
        [(Counter::Restarts, Counter::Continues, "85"), (Counter::Continues, Counter::Restarts, "e5")]
    {
        let (raida, status) = (RaidaIndex::new(7).expect("RAIDA 7"), Status::SUCCESS);
        let signed = Some(*challenge.as_bytes());
        let parts = ResponseParts { raida, status, challenge: signed, execution_micros: 0, random: [0; 24] };
        let write = |payload: &mut [u8]| payload[0] = 0x36;
        let sealed = envelope::seal_response_in(counter, &header, &key, &parts, 1, write).expect("memory");
        let known = format!("0700fa0f000107080000000300000000bde94b4fa04111e3e727dc7811d822b6{share}3e3e");
        assert_eq!(hex::encode(&sealed), known);
        let open = |counter| {
            let mut sealed = sealed.clone();
            let opened = envelope::open_response_in(counter, &header, &challenge, &key, &mut sealed);
            opened.expect("a signed answer").payload[0]
        };
        assert_eq!((open(counter), open(other)), (0x36, 0x36 ^ 0xB3 ^ 0xD3));
    }
}

#[test]
fn shares_are_the_known_ones() {
    let vectors = vectors();
    let (master, context) = (bytes(&vectors["master_secret"]), context(&vectors));
    let [first, second] = ["coin_1", "coin_2"].map(|name| coin(&vectors, name).0);
    for (kind, name) in [
        (ShareKind::Narrow, "share_1_byte"),
        (ShareKind::Wide(CoinPair { first, second: None }), "wide_share_one_coin"),
        (ShareKind::Wide(CoinPair { first, second: Some(second) }), "wide_share_two_coins"),
    ] {
        let mut share = [0xEE; 32];
        derive::share(&master, kind, &context, &mut share);
        let (share, rest) = share.split_at(kind.width().share_len());
        assert_eq!(hex::encode(share), vectors[name].as_str().expect(name));
        assert!(rest.iter().all(|byte| *byte == 0xEE), "{name}: the rest is left alone");
    }
}

#[test]
fn a_wide_share_is_bound_to_all_that_it_is_asked_for() {
    let vectors = vectors();
    let (master, own) = (bytes(&vectors["master_secret"]), context(&vectors));
    let [first, second] = ["coin_1", "coin_2"].map(|name| coin(&vectors, name).0);
    let share = |context: &KeyContext, coins| {
        let mut share = [0; 32];
        derive::share(&master, ShareKind::Wide(coins), context, &mut share);
        share
    };
    let pair = CoinPair { first, second: Some(second) };
    let mut all = vec![
        share(&own, pair),
        share(&own, CoinPair { first: second, second: Some(first) }),
        share(&own, CoinPair { first, second: None }),
        share(&own, CoinPair { first: second, second: None }),
        share(&own, CoinPair { first: CoinId { denomination: 1, ..first }, second: None }),
        share(&KeyContext { timestamp: own.timestamp + 1, ..own }, pair),
        share(&KeyContext { client_sn: ClientSn([9; 5]), ..own }, pair),
        share(&KeyContext { key_set: KeySetId::new(2).expect("k2"), ..own }, pair),
        share(&KeyContext { cs_id: ContentServerId::new("CT").expect("an ID"), ..own }, pair),
    ];
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count);
}

#[test]
fn the_narrow_key_is_the_known_one() {
    let vectors = vectors();
    let even: Vec<RaidaIndex> = RaidaIndex::all().filter(|raida| raida.get() % 2 == 0).collect();
    let shares: Vec<Secret<32>> = even.iter().map(|raida| narrow_share_of_the_vectors(*raida)).collect();
    let key = derive::narrow_key_from_shares(shares.iter(), &context(&vectors));
    let known: [u8; 32] = bytes(&vectors["narrow_key"]["key"]);
    assert!(key.expect("secret memory").expose(|key| *key == known));
}

/// The first byte of SHA-256("share" || index).
fn narrow_share_of_the_vectors(raida: RaidaIndex) -> Secret<32> {
    use sha2::Digest;
    let hash = sha2::Sha256::digest([b"share".as_slice(), &[raida.get()]].concat());
    Secret::fill(|share| share[0] = hash[0]).expect("secret memory")
}
