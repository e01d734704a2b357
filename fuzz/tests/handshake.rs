//! Handshake 3 (`docs/protocol.md` section 7): first packets, responses and records. Decoded packets encode to the
//! same bytes, no changed honest packet is accepted under its psk, and a changed stream of records yields at most a
//! prefix of the original data.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use std::sync::LazyLock;

use rke_fuzz::{changes, corpus, memory};
use rke_proto::derive::ShareWidth;
use rke_proto::handshake::kem::{EncapsulationSeeds, EphemeralKey};
use rke_proto::handshake::packet::{self, FirstHeader};
use rke_proto::handshake::record::{LEN_LEN, record_len};
use rke_proto::handshake::{
    Accepted, ExchangePrologue, FirstPacket, Grant, HandshakeError, Initiator, Prologue, Record,
    RecordOpener, Responder, Response, psk, share_check,
};
use rke_proto::{Bitmap, RaidaIndex};
use rke_secret::Secret;
use serde_json::Value;
use sha2::{Digest, Sha256};

rke_fuzz::target!(handshake_first_packet, check_first_packet);
rke_fuzz::target!(handshake_message_1, check_message_1);
rke_fuzz::target!(handshake_share_check, check_share_check);
rke_fuzz::target!(handshake_response, check_response);
rke_fuzz::target!(handshake_record_len, check_record_len);

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../vectors/rke-vectors.json");
    serde_json::from_str::<Value>(text).expect("the vectors are JSON")["handshake_3"].take()
});

static EXCHANGE: LazyLock<ExchangePrologue> =
    LazyLock::new(|| match FirstPacket::decode(&known("/first_packet")) {
        Ok(FirstPacket::Handshake { prologue: Prologue::Exchange(exchange), .. }) => exchange,
        other => unreachable!("{other:?}"),
    });

/// Of any RAIDA, as the vectors have them.
static SHARES: LazyLock<Vec<(RaidaIndex, Secret<32>)>> = LazyLock::new(|| {
    let share = |raida: RaidaIndex| {
        let bytes = Sha256::new().chain_update(b"share").chain_update([raida.get()]).finalize();
        Secret::fill(|share| share.copy_from_slice(&bytes)).expect("secret memory")
    };
    RaidaIndex::all().map(|raida| (raida, share(raida))).collect()
});

/// Bytes allocated for a first packet: at most 25 groups.
const GROUPS: u64 = 2048;

fn known(path: &str) -> Vec<u8> {
    hex::decode(VECTORS.pointer(path).and_then(Value::as_str).expect(path)).expect("hex")
}

fn secret(path: &str) -> Secret<32> {
    Secret::fill(|secret| secret.copy_from_slice(&known(path))).expect("secret memory")
}

fn shares_of(raidas: Bitmap) -> impl Iterator<Item = (RaidaIndex, &'static Secret<32>)> {
    SHARES.iter().filter(move |(raida, _)| raidas.contains(*raida)).map(|(raida, share)| (*raida, share))
}

fn check_first_packet(bytes: &[u8]) -> bool {
    let (decoded, allocated) = memory::peak(|| FirstPacket::decode(bytes));
    assert!(allocated <= GROUPS, "{allocated} bytes allocated");
    let Ok(first) = decoded else { return false };
    let header = FirstHeader::decode(bytes.first_chunk().expect("a header")).expect("a good header");
    let content_end = packet::HEADER_LEN + header.content_len;
    match first {
        FirstPacket::Handshake { prologue, raw, message } => {
            assert!(header.kind.has_message());
            assert_eq!((raw, prologue.to_bytes().as_slice()), (&bytes[..content_end], &bytes[..content_end]));
            assert_eq!(message, &bytes[content_end + packet::MESSAGE_LEN_LEN..]);
        }
        FirstPacket::ShareCheck(check) => {
            let content = &check.prologue.to_bytes()[packet::HEADER_LEN..];
            assert_eq!(&bytes[packet::HEADER_LEN..content_end - 25 * 8], content);
        }
        FirstPacket::Forget(forget) => assert_eq!(forget.to_bytes(), bytes),
    }
    true
}

/// The server's psk for a prologue, from the secrets of the vectors.
fn server_psk(prologue: &Prologue) -> Secret<32> {
    match prologue {
        Prologue::Exchange(exchange) => {
            let shares = shares_of(exchange.raidas()).map(|(_, share)| share);
            psk::from_shares(shares, ShareWidth::Wide, &prologue.to_bytes()).expect("secret memory")
        }
        Prologue::Resume { .. } => secret("/resumption_secret"),
        Prologue::Attach { .. } => secret("/attach/psk"),
    }
}

const HONEST: [&str; 3] = ["/first_packet", "/resume/first_packet", "/attach/first_packet"];

fn check_message_1(bytes: &[u8]) -> bool {
    let Ok(FirstPacket::Handshake { prologue, raw, message }) = FirstPacket::decode(bytes) else {
        return false;
    };
    let seeds = EncapsulationSeeds::random().expect("random bytes");
    match Responder::receive(raw, &server_psk(&prologue), message, &seeds) {
        Ok((_, one)) => {
            assert_eq!(one.domain.as_deref(), Some("content.example.com"));
            assert!(HONEST.iter().any(|path| known(path) == bytes), "a changed packet is accepted");
            true
        }
        Err(error) => {
            assert!(matches!(error, HandshakeError::WrongPsk), "{error}");
            false
        }
    }
}

/// A server proves nothing about another packet than the one that the client has sent.
fn check_share_check(bytes: &[u8]) -> bool {
    let Ok(FirstPacket::ShareCheck(check)) = FirstPacket::decode(bytes) else { return false };
    let Ok(Response::Checked { right, mac }) = check.respond(&SHARES, 1) else { unreachable!("it checks") };
    assert!(right.is_within(check.prologue.raidas()));
    let sent = known("/share_check/packet");
    let is_proven = share_check::is_proven(&EXCHANGE, &sent, shares_of(EXCHANGE.raidas()), right, &mac, 1);
    let is_proven = is_proven.expect("secret memory");
    assert_eq!(is_proven, bytes == sent);
    is_proven
}

fn check_response(bytes: &[u8]) -> bool {
    let (decoded, allocated) = memory::peak(|| Response::decode(bytes));
    assert!(allocated <= bytes.len() as u64, "{allocated} bytes allocated for {}", bytes.len());
    decoded.is_ok_and(|response| {
        assert_eq!(response.to_bytes(), bytes);
        true
    })
}

fn check_record_len(bytes: &[u8]) -> bool {
    let Ok(field) = <[u8; LEN_LEN]>::try_from(bytes) else { return false };
    memory::none(|| record_len(field)).is_ok_and(|len| (17..=16_401).contains(&len))
}

/// Both ends of an attachment.
fn attached() -> (Accepted, Accepted) {
    let Ok(FirstPacket::Handshake { prologue, raw, message }) = FirstPacket::decode(&ATTACH) else {
        unreachable!("a handshake")
    };
    let psk = server_psk(&prologue);
    let seeds = EncapsulationSeeds::random().expect("random bytes");
    let (responder, _) = Responder::receive(raw, &psk, message, &seeds).expect("the psk is right");
    let (response, server) =
        responder.accept(Grant { resumption: None, lifetime: 1 }).expect("secret memory");
    let key = EphemeralKey::of_seed(secret("/attach/client_ephemeral_seed")).expect("secret memory");
    let (initiator, _) =
        Initiator::begin(&prologue, &psk, key, "content.example.com").expect("secret memory");
    let Response::Accepted(message) = response else { unreachable!("it accepts") };
    (initiator.receive(&message).expect("the psk is right"), server)
}

static ATTACH: LazyLock<Vec<u8>> = LazyLock::new(|| known("/attach/first_packet"));

/// The records that open, up to the first that does not.
fn opened(opener: &mut RecordOpener, mut stream: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while let Some((field, rest)) = stream.split_first_chunk::<LEN_LEN>() {
        let Some((sealed, rest)) = record_len(*field).ok().and_then(|len| rest.split_at_checked(len)) else {
            break;
        };
        match opener.open(sealed.to_vec()) {
            Ok(record) => records.push(record),
            Err(_) => break,
        }
        stream = rest;
    }
    records
}

#[test]
fn a_changed_stream_of_records_gives_a_part_of_what_was_sent() {
    rke_fuzz::bolero::check!(name = "handshake_records")
        .with_generator(changes::any())
        .with_iterations(1000)
        .for_each(|changes| {
            let (mut client, mut server) = attached();
            let sealer = &mut server.transport.sealer;
            let mut sent: Vec<Record> = [0, 1, 300].map(|len| Record::Data(vec![len as u8; len])).to_vec();
            let data = sent.iter().map(|record| match record {
                Record::Data(data) => sealer.data(data).expect("a record"),
                _ => unreachable!("all are data"),
            });
            let mut stream: Vec<u8> = data.collect::<Vec<_>>().concat();
            stream.extend(sealer.end(Some(3)).expect("an end"));
            sent.push(Record::End(Some(3)));
            let files = [("stream".to_owned(), stream.clone())];
            let changed = changes.apply(&files).1;
            let opener = &mut client.transport.opener;
            let found = opened(opener, &changed);
            assert!(sent.starts_with(&found), "something that was not sent");
            assert_eq!(opener.is_over(), changed.starts_with(&stream), "an end that was not sent, or none");
        });
}

#[test]
fn the_corpora_have_the_packets_of_the_vectors() {
    let good = |name: &str, bytes: Vec<u8>| (format!("good_{name}"), bytes);
    let refused = |name: &str, bytes: Vec<u8>| (format!("refused_{name}"), bytes);
    let [exchange, resume, attach] = HONEST.map(known);
    let check = known("/share_check/packet");
    let forget = known("/forget_packet");
    let with = |bytes: &[u8], at: usize, value: u8| {
        let mut bytes = bytes.to_vec();
        bytes[at] = value;
        bytes
    };
    let groups_at = packet::HEADER_LEN + 30;
    corpus::holds(
        "handshake_first_packet",
        vec![
            good("exchange", exchange.clone()),
            good("resume", resume.clone()),
            good("attach", attach.clone()),
            good("share_check", check.clone()),
            good("forget", forget.clone()),
            refused("another_magic", with(&forget, 3, b'2')),
            refused("kind_0", with(&forget, 4, 0)),
            refused("kind_6", with(&forget, 4, 6)),
            refused("no_groups", with(&exchange, groups_at, 0)),
            refused("groups_26", with(&exchange, groups_at, 26)),
            refused(
                "empty_bitmap",
                [&exchange[..groups_at + 3], &[0, 0], &exchange[groups_at + 5..]].concat(),
            ),
            refused("overlapping_bitmaps", with(&exchange, groups_at + 18, 0x01)),
            refused("raida_25", with(&exchange, groups_at + 1, 0x02)),
            refused("hole_in_the_id", with(&exchange, packet::HEADER_LEN + 4, 0)),
            refused("space_in_the_id", with(&exchange, packet::HEADER_LEN + 4, b' ')),
            refused("key_set_0", with(&exchange, packet::HEADER_LEN + 16, 0)),
            refused("cut", exchange[..exchange.len() - 1].to_vec()),
            refused("left_over", [exchange.as_slice(), &[0]].concat()),
        ],
    );
    corpus::holds(
        "handshake_message_1",
        vec![
            good("exchange", exchange.clone()),
            good("resume", resume.clone()),
            good("attach", attach),
            refused("another_timestamp", with(&exchange, packet::HEADER_LEN + 29, 1)),
            refused("another_e", with(&exchange, exchange.len() - 100, 1)),
            refused("another_tag", with(&resume, resume.len() - 1, 1)),
            refused("forget", forget),
        ],
    );
    corpus::holds(
        "handshake_share_check",
        vec![
            good("all_match", check.clone()),
            refused("another_tag", with(&check, check.len() - 1, 1)),
            refused("one_for_another_raida", with(&check, check.len() - 190, 1)),
        ],
    );
    let response = |response: Response| response.to_bytes();
    let reason = |number| [b"RKE3\x82\0\x01".as_slice(), &[number]].concat();
    let checked = response(Response::Checked { right: EXCHANGE.raidas(), mac: [7; 32] });
    corpus::holds(
        "handshake_response",
        vec![
            good("accepted", known("/answer")),
            good("refused_stale", reason(1)),
            good("refused_retired", reason(8)),
            good("checked", checked.clone()),
            good("forgotten", [b"RKE3\x84\0\x20".as_slice(), &[1; 32]].concat()),
            refused("reason_0", reason(0)),
            refused("reason_9", reason(9)),
            refused("raida_25", with(&checked, packet::HEADER_LEN, 0x02)),
            refused("kind_0x85", with(&checked, 4, 0x85)),
            refused("cut", known("/answer")[..1000].to_vec()),
        ],
    );
    let length = |len: u16| len.to_be_bytes().to_vec();
    corpus::holds(
        "handshake_record_len",
        vec![
            good("shortest", length(17)),
            good("longest", length(16_401)),
            refused("too_short", length(16)),
            refused("too_long", length(16_402)),
            refused("none", Vec::new()),
        ],
    );
}
