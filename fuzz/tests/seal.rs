//! The sealed format (`docs/seal-format.md`), opened with the key of the vectors: what opens seals to the
//! same bytes again, and no change to an honest stream opens.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use std::sync::LazyLock;

use rke_fuzz::{corpus, memory};
use rke_proto::seal::{
    CHUNK_LEN, Cutter, HEADER_LEN, OpenError, Opener, SALT_LEN, Sealer, TAG_LEN, opened_len, sealed_len,
};
use serde_json::Value;

rke_fuzz::target!(seal, check);

static VECTORS: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../vectors/seal.json");
    serde_json::from_str(text).expect("the vectors are JSON")
});

static KEY: LazyLock<[u8; 32]> = LazyLock::new(|| known("key").try_into().expect("a key"));
static BESIDE: LazyLock<Vec<u8>> = LazyLock::new(|| known("associated_data"));
static HONEST: LazyLock<[Vec<u8>; 4]> =
    LazyLock::new(|| [0, 1, 1000, CHUNK_LEN + 2].map(|len| seal(&[len as u8; SALT_LEN], &vec![0xC3; len])));

/// A field of the first known answer with associated data.
fn known(name: &str) -> Vec<u8> {
    let sealed = VECTORS["sealed"].as_array().expect("a list");
    let known = sealed.iter().find(|known| known["associated_data"] != "").expect("one with data beside");
    hex::decode(known[name].as_str().expect(name)).expect("hex")
}

fn seal(salt: &[u8; SALT_LEN], mut text: &[u8]) -> Vec<u8> {
    let (mut sealer, mut cutter) = (Sealer::new(salt, &BESIDE), Cutter::new(CHUNK_LEN));
    let mut sealed = sealer.header(&KEY).to_vec();
    while let Some(mut chunk) = cutter.cut(&mut text) {
        sealer.seal(&KEY, &mut chunk).expect("a whole chunk");
        sealed.extend(chunk);
    }
    let mut last = cutter.finish();
    sealer.seal_last(&KEY, &mut last).expect("a last chunk");
    [sealed, last].concat()
}

fn open(sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
    let (header, mut rest) = sealed.split_first_chunk().ok_or(OpenError::CutShort)?;
    let mut opener = Opener::new(header, &BESIDE)?;
    let (mut cutter, mut text) = (Cutter::new(CHUNK_LEN + TAG_LEN), Vec::new());
    while let Some(mut chunk) = cutter.cut(&mut rest) {
        opener.open(&KEY, &mut chunk)?;
        text.extend(chunk);
    }
    let mut last = cutter.finish();
    opener.open_last(&KEY, &mut last)?;
    Ok([text, last].concat())
}

fn check(sealed: &[u8]) -> bool {
    let (opened, allocated) = memory::peak(|| open(sealed));
    assert!(allocated <= 4 * (CHUNK_LEN + sealed.len()) as u64, "{allocated} bytes for {}", sealed.len());
    let lens = (opened_len(sealed.len() as u64), sealed_len(sealed.len() as u64));
    assert!(lens.0.is_none_or(|len| sealed_len(len) == Some(sealed.len() as u64)) && lens.1.is_some());
    let Ok(text) = opened else { return false };
    assert_eq!(lens.0, Some(text.len() as u64));
    let salt = sealed[8..].first_chunk().expect("a salt");
    assert!(seal(salt, &text) == sealed, "what opens is sealed in one way only");
    let vector = known("sealed");
    assert!(sealed == vector || HONEST.iter().any(|honest| honest == sealed), "a changed stream opens");
    true
}

#[test]
fn the_corpus_has_honest_streams() {
    let good = |name: &str, bytes: &[u8]| (format!("good_{name}"), bytes.to_vec());
    let refused = |name: &str, bytes: Vec<u8>| (format!("refused_{name}"), bytes);
    let [empty, one, short, long] = &*HONEST;
    let mut later = short.clone();
    later[7] = 2;
    let mut altered = short.clone();
    altered[HEADER_LEN] ^= 1;
    corpus::holds(
        "seal",
        vec![
            good("empty", empty),
            good("one_byte", one),
            good("short", short),
            good("over_a_chunk", long),
            good("of_the_vectors", &known("sealed")),
            refused("nothing", Vec::new()),
            refused("header_alone", short[..HEADER_LEN].to_vec()),
            refused("another_magic", [b"RKESEAM", &short[7..]].concat()),
            refused("later_version", later),
            refused("altered", altered),
            refused("cut", short[..short.len() - 1].to_vec()),
            refused("cut_after_a_chunk", long[..HEADER_LEN + CHUNK_LEN + TAG_LEN].to_vec()),
            refused("one_byte_more", [short, &[0][..]].concat()),
            refused("end_of_another", [&one[..HEADER_LEN], &empty[HEADER_LEN..]].concat()),
        ],
    );
}
