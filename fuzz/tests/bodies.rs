//! The decrypted content of requests: the challenge, the body of a key share request, and those of preloads.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use rke_fuzz::{corpus, memory, samples};
use rke_proto::Challenge;
use rke_proto::challenge::CHALLENGE_LEN;
use rke_proto::command::{self, Preload, Preloading};
use rke_secret::Secret;

rke_fuzz::target!(challenge, check_challenge);
rke_fuzz::target!(share_request, check_share_request);
rke_fuzz::target!(preload, check_preload);
rke_fuzz::target!(key_set_preload, check_key_set_preload);

fn check_challenge(body: &[u8]) -> bool {
    let Ok((challenge, rest)) = memory::none(|| command::split_challenge(body)) else {
        let bytes = body.first_chunk::<CHALLENGE_LEN>();
        assert!(bytes.is_none_or(|bytes| Challenge::decode(*bytes).is_err()));
        return false;
    };
    assert_eq!([challenge.as_bytes().as_slice(), rest].concat(), body);
    // A CRC-32 finds every change that is not longer than itself.
    for (at, flip) in (0..CHALLENGE_LEN).zip(body.iter().cycle()) {
        let mut changed = *challenge.as_bytes();
        changed[at] ^= flip | 1;
        assert!(Challenge::decode(changed).is_err(), "byte {at}");
    }
    true
}

fn check_share_request(body: &[u8]) -> bool {
    let Ok(context) = memory::none(|| command::decode_share_request(body)) else { return false };
    let mut encoded = vec![0xEE; command::SHARE_REQUEST_LEN];
    command::write_share_request(&samples::challenge(), &context, &mut encoded);
    assert_eq!(encoded[CHALLENGE_LEN..], *body);
    true
}

fn check_preload(body: &[u8]) -> bool {
    let Ok(preload) = memory::none(|| Preload::decode(body)) else { return false };
    assert_eq!(encoded(Preloading::Public, &preload)[CHALLENGE_LEN..], *body);
    true
}

fn check_key_set_preload(body: &[u8]) -> bool {
    let Ok((timestamp, preload)) = memory::none(|| Preload::decode_with_timestamp(body)) else {
        return false;
    };
    assert_eq!(encoded(Preloading::Dated(timestamp), &preload)[CHALLENGE_LEN..], *body);
    true
}

fn encoded(preloading: Preloading, preload: &Preload<'_>) -> Vec<u8> {
    let masters: Vec<_> = preload
        .key_sets()
        .map(|(key_set, master)| (key_set, Secret::fill(|own| *own = *master).expect("secret memory")))
        .collect();
    let key_sets: Vec<_> = masters.iter().map(|(key_set, master)| (*key_set, master)).collect();
    let mut encoded = vec![0xEE; preloading.body_len(&preload.cs_id, key_sets.len())];
    preloading.write(&samples::challenge(), &preload.cs_id, &key_sets, &mut encoded);
    encoded
}

#[test]
fn the_corpus_has_honest_bodies() {
    let file = |body: &[u8]| vec![("good_known".to_owned(), body.to_vec())];
    corpus::holds("challenge", file(&samples::share_request()));
    corpus::holds("share_request", file(&samples::share_request()[CHALLENGE_LEN..]));
    corpus::holds("preload", file(&samples::preload_body(Preloading::Public)[CHALLENGE_LEN..]));
    let dated = Preloading::Dated(samples::PRELOADED_AT);
    corpus::holds("key_set_preload", file(&samples::preload_body(dated)[CHALLENGE_LEN..]));
}
