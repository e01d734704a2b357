//! The known answers and the refusals in `vectors/seal.json`, and properties of any stream.

use proptest::prelude::*;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::*;
use crate::known_answers::{array, bytes, read, text};

type Key = [u8; 32];

fn seal_all(key: &Key, salt: &[u8; SALT_LEN], associated_data: &[u8], text: &[u8]) -> Vec<u8> {
    seal_in_pieces(key, salt, associated_data, text, usize::MAX)
}

fn seal_in_pieces(key: &Key, salt: &[u8; SALT_LEN], data: &[u8], text: &[u8], piece: usize) -> Vec<u8> {
    let (mut sealer, mut cutter) = (Sealer::new(salt, data), Cutter::new(CHUNK_LEN));
    let mut sealed = sealer.header(key).to_vec();
    for mut piece in text.chunks(piece) {
        while let Some(mut chunk) = cutter.cut(&mut piece) {
            sealer.seal(key, &mut chunk).expect("a whole chunk");
            sealed.extend(chunk);
        }
    }
    let mut last = cutter.finish();
    sealer.seal_last(key, &mut last).expect("a last chunk");
    [sealed, last].concat()
}

fn open_all(key: &Key, associated_data: &[u8], sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (header, mut rest) = sealed.split_first_chunk().ok_or(OpenError::CutShort)?;
    let mut opener = Opener::new(header, associated_data)?;
    let (mut cutter, mut text) = (Cutter::new(CHUNK_LEN + TAG_LEN), Vec::new());
    while let Some(mut chunk) = cutter.cut(&mut rest) {
        let opened = opener.open(key, &mut chunk);
        assert!(opened.is_ok() || chunk.is_empty(), "given away although it is not authentic");
        opened?;
        text.extend(chunk);
    }
    let mut last = cutter.finish();
    let opened = opener.open_last(key, &mut last);
    assert!(opened.is_ok() || last.is_empty(), "given away although it is not authentic");
    opened?;
    Ok([text, last].concat())
}

fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|at| (7 * at + 3 * (at >> 8)) as u8).collect()
}

fn vectors() -> Value {
    read(include_str!("../../../../vectors/seal.json"))
}

fn number(value: &Value) -> usize {
    value.as_u64().expect("a number") as usize
}

/// The sealed streams of the vectors, made here.
fn streams(vectors: &Value) -> Vec<(&str, Vec<u8>)> {
    let made = vectors["sealed"].as_array().expect("a list").iter().map(|known| {
        let plaintext = plaintext(number(&known["plaintext_length"]));
        let (key, salt) = (array(known, "key"), array(known, "salt"));
        (text(known, "name"), seal_all(&key, &salt, &bytes(known, "associated_data"), &plaintext))
    });
    made.collect()
}

/// A refused input, put together from pieces of the streams.
fn input(refused: &Value, streams: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let pieces = refused["pieces"].as_array().expect("a list").iter().map(|piece| match piece {
        Value::String(hex) => hex::decode(hex).expect("hex"),
        piece => {
            let (_, stream) = streams.iter().find(|(name, _)| *name == piece[0]).expect("a stream");
            stream[number(&piece[1])..number(&piece[2])].to_vec()
        }
    });
    let mut input = pieces.collect::<Vec<_>>().concat();
    for change in refused["xor"].as_array().into_iter().flatten() {
        input[number(&change[0])] ^= number(&change[1]) as u8;
    }
    input
}

#[test]
fn the_known_answers_are_sealed_and_opened() {
    let vectors = vectors();
    let known = vectors["sealed"].as_array().expect("a list");
    for (known, (name, sealed)) in known.iter().zip(streams(&vectors)) {
        assert_eq!(sealed.len(), number(&known["sealed_length"]), "{name}");
        assert_eq!(Sha256::digest(&sealed)[..], bytes(known, "sealed_sha256"), "{name}");
        let start = if known["sealed"].is_string() { "sealed" } else { "header" };
        assert!(sealed.starts_with(&bytes(known, start)), "{name}");
        let opened = open_all(&array(known, "key"), &bytes(known, "associated_data"), &sealed);
        assert_eq!(opened, Ok(plaintext(number(&known["plaintext_length"]))), "{name}");
    }
    assert!(known.len() >= 12);
}

#[test]
fn every_refusal_of_the_vectors_is_refused_for_its_reason() {
    let vectors = vectors();
    let streams = streams(&vectors);
    let refused = vectors["refused"].as_array().expect("a list");
    for case in refused {
        let opened = open_all(&array(case, "key"), &bytes(case, "associated_data"), &input(case, &streams));
        let why = match opened {
            Err(OpenError::CutShort) => "cut short",
            Err(OpenError::NotSealed) => "not sealed",
            Err(OpenError::Version(_)) => "version",
            Err(OpenError::AnotherKey) => "another key",
            Err(OpenError::Altered) => "altered",
            Err(OpenError::TooLong) => "too long",
            Ok(_) => "it opened",
        };
        assert_eq!(why, text(case, "why"), "{}", case["name"]);
    }
    assert!(refused.len() > vectors["sealed"].as_array().expect("a list").len());
}

#[test]
fn no_changed_or_cut_byte_of_a_short_stream_goes_unnoticed() {
    let (key, salt) = ([1; 32], [2; SALT_LEN]);
    let sealed = seal_all(&key, &salt, b"beside", b"some text");
    for at in 0..sealed.len() {
        for bit in 0..8 {
            let mut changed = sealed.clone();
            changed[at] ^= 1 << bit;
            assert!(open_all(&key, b"beside", &changed).is_err(), "bit {bit} of byte {at}");
        }
        assert!(open_all(&key, b"beside", &sealed[..at]).is_err(), "cut at {at}");
    }
}

/// Lengths at which something may be off by one, and others.
fn lengths() -> impl Strategy<Value = usize> {
    let around = |chunks: usize| (chunks * CHUNK_LEN).saturating_sub(2)..=chunks * CHUNK_LEN + 2;
    prop_oneof![0..40_usize, around(1), around(2), 0..3 * CHUNK_LEN]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_stream_is_the_same_in_whatever_pieces_it_comes(
        len in lengths(), piece in 1..2 * CHUNK_LEN, key: Key, salt: [u8; SALT_LEN], data: Vec<u8>,
    ) {
        let text = plaintext(len);
        let sealed = seal_in_pieces(&key, &salt, &data, &text, piece);
        prop_assert!(sealed == seal_all(&key, &salt, &data, &text));
        prop_assert_eq!(sealed_len(len as u64), Some(sealed.len() as u64));
        prop_assert_eq!(opened_len(sealed.len() as u64), Some(len as u64));
        prop_assert!(open_all(&key, &data, &sealed) == Ok(text));
    }

    #[test]
    fn a_changed_or_cut_stream_is_refused(
        len in lengths(), at: prop::sample::Index, flip in 1..=255_u8, key: Key, salt: [u8; SALT_LEN],
    ) {
        let sealed = seal_all(&key, &salt, b"beside", &plaintext(len));
        let at = at.index(sealed.len());
        let mut changed = sealed.clone();
        changed[at] ^= flip;
        prop_assert!(open_all(&key, b"beside", &changed).is_err());
        prop_assert!(open_all(&key, b"beside", &sealed[..at]).is_err());
    }

    #[test]
    fn lengths_are_told_rightly_or_not_at_all(len: u64) {
        if let Some(sealed) = sealed_len(len) {
            prop_assert_eq!(opened_len(sealed), Some(len));
        }
        if let Some(opened) = opened_len(len) {
            prop_assert_eq!(sealed_len(opened), Some(len));
        }
    }
}

#[test]
fn no_length_is_told_of_what_cannot_be_sealed_data() {
    let (header, chunk) = (HEADER_LEN as u64, (CHUNK_LEN + TAG_LEN) as u64);
    for len in [0, header, header + 15, header + chunk + 1, header + chunk + 16, header + 2 * chunk + 5] {
        assert_eq!(opened_len(len), None, "{len}");
    }
    assert_eq!((opened_len(header + 16), opened_len(header + chunk + 17)), (Some(0), Some(65537)));
    assert_eq!(sealed_len(u64::MAX), None);
}
