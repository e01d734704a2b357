//! `seal` and `open`: data that one has sealed can be opened by the other, as JSON and raw. Whatever happens to the
//! data on the path, no unauthentic part of it is returned, and no response looks complete.

use std::net::SocketAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_proto::seal::{CHUNK_LEN, Cutter, HEADER_LEN, Opener, TAG_LEN};
use serde_json::json;

use crate::bodies::SIZES;
use crate::key::KnownKey;
use crate::support::Stage;
use crate::wire::{Reply, data, post, post_json, post_pieces};

const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;

/// Ways to send data.
#[derive(Debug, Clone, Copy)]
enum Way {
    Json,
    Raw,
    RawInPieces,
}

impl Way {
    const ALL: [Self; 3] = [Self::Json, Self::Raw, Self::RawInPieces];

    fn takes(self, len: usize) -> bool {
        !matches!(self, Self::Json) || len <= 700_000
    }

    /// Sends a request to `path`, whose JSON form calls the data `name`.
    async fn ask(
        self,
        daemon: SocketAddr,
        path: &str,
        name: &str,
        id: &str,
        beside: &[u8],
        body: &[u8],
    ) -> Reply {
        let beside = STANDARD.encode(beside);
        let headers = [("x-rke-session", id), ("x-rke-associated-data", &beside)];
        // Empty associated data means the same with and without its header. Raw requests leave the header out.
        let headers = if beside.is_empty() { &headers[..1] } else { &headers };
        match self {
            Self::Json => {
                let body = json!({"session_id": id, name: STANDARD.encode(body), "associated_data": beside});
                post_json(daemon, path, &body).await
            }
            Self::Raw => post(daemon, path, headers, body.to_vec()).await,
            Self::RawInPieces => post_pieces(daemon, path, headers, body, 10_007).await,
        }
    }

    async fn seal(self, daemon: SocketAddr, id: &str, beside: &[u8], text: &[u8]) -> Vec<u8> {
        let reply = self.ask(daemon, "seal", "plaintext", id, beside, text).await;
        match self {
            Self::Json => {
                assert_eq!(reply.json()["length"], text.len());
                reply.field("sealed")
            }
            Self::Raw | Self::RawInPieces => reply.good(),
        }
    }

    async fn open(self, daemon: SocketAddr, id: &str, beside: &[u8], sealed: &[u8]) -> Reply {
        self.ask(daemon, "open", "sealed", id, beside, sealed).await
    }

    fn text(self, reply: Reply) -> Vec<u8> {
        match self {
            Self::Json => reply.field("plaintext"),
            Self::Raw | Self::RawInPieces => reply.good(),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_opens_what_every_other_has_sealed() {
    let stage = Stage::new().await;
    let (id, daemon) = (stage.create_id().await, stage.daemon.address());
    let (mut sealings, mut openings) = (0, 0);
    for (len, beside) in SIZES.into_iter().zip([&b""[..], b"invoice 17"].into_iter().cycle()) {
        let text = data(len);
        for way in Way::ALL.into_iter().filter(|way| way.takes(len)) {
            let sealed = way.seal(daemon, &id, beside, &text).await;
            assert_eq!(sealed.len(), HEADER_LEN + len + len.div_ceil(CHUNK_LEN).max(1) * TAG_LEN);
            sealings += 1;
            for back in Way::ALL.into_iter().filter(|way| way.takes(len)) {
                let opened = back.text(back.open(daemon, &id, beside, &sealed).await);
                assert!(opened == text, "{way:?} {back:?} {len}");
                openings += 1;
            }
        }
    }
    let shown = stage.get(&format!("/api/rke/session/{id}")).await.json();
    assert_eq!((&shown["encrypt_count"], &shown["decrypt_count"]), (&sealings.into(), &openings.into()));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_have_the_documented_form() {
    let stage = Stage::new().await;
    let (id, daemon) = (stage.create_id().await, stage.daemon.address());
    let body = json!({"session_id": id, "plaintext": "SGVsbG8gV29ybGQh"});
    let reply = post_json(daemon, "seal", &body).await;
    let sealed = reply.json()["sealed"].as_str().expect("Base64").to_owned();
    let expected = format!(r#"{{"command":"rke_seal","success":true,"sealed":"{sealed}","length":12}}"#);
    assert_eq!(String::from_utf8_lossy(&reply.body), expected);
    let opened = post_json(daemon, "open", &json!({"session_id": id, "sealed": sealed})).await;
    let expected = r#"{"command":"rke_open","success":true,"plaintext":"SGVsbG8gV29ybGQh","length":12}"#;
    assert_eq!(String::from_utf8_lossy(&opened.body), expected);
    let again = post_json(daemon, "seal", &body).await;
    assert_ne!(again.body, reply.body, "each stream has a salt of its own");
    let raw = post(daemon, "seal", &[("x-rke-session", &id)], data(100_000)).await;
    assert_eq!(raw.header("content-type"), Some("application/octet-stream"));
    assert_eq!(raw.header("content-length"), Some("100104"));
    let raw = post(daemon, "open", &[("x-rke-session", &id)], raw.good()).await;
    assert_eq!(raw.header("content-length"), Some("100000"));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_has_the_key_opens_it_without_the_daemon() {
    let known = KnownKey::new().await;
    let sealed = Way::Raw.seal(known.daemon.address(), &known.id, b"beside", &data(150_000)).await;
    let (header, mut rest) = sealed.split_first_chunk().expect("a header");
    let text = known.derived(rke_proto::handshake::keys::seal_key).expose(|key| {
        let mut opener = Opener::new(header, b"beside").expect("a header");
        let (mut cutter, mut text) = (Cutter::new(SEALED_CHUNK_LEN), Vec::new());
        while let Some(mut chunk) = cutter.cut(&mut rest) {
            opener.open(key, &mut chunk).expect("a chunk");
            text.extend(chunk);
        }
        let mut last = cutter.finish();
        opener.open_last(key, &mut last).expect("the last chunk");
        [text, last].concat()
    });
    assert!(text == data(150_000));
    known.stop().await;
}

/// Tries in every way to open data that must not open.
async fn refused(daemon: SocketAddr, id: &str, beside: &[u8], sealed: &[u8], text: &[u8], name: &str) {
    for way in Way::ALL {
        let reply = way.open(daemon, id, beside, sealed).await;
        if matches!(way, Way::Json) || reply.status != 200 {
            let told = reply.refusal(422);
            assert!(told.starts_with("Cannot open this: "), "{name} {way:?}: {told}");
        } else {
            let len = reply.body.len();
            assert!(!reply.is_whole, "{name} {way:?}: it looks whole");
            assert!(len < text.len() && len % CHUNK_LEN == 0, "{name} {way:?}: {len} bytes");
            assert!(reply.body[..] == text[..len], "{name} {way:?}: what is given away is not authentic");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_done_to_sealed_data_is_noticed() {
    let stage = Stage::new().await;
    let (id, daemon) = (stage.create_id().await, stage.daemon.address());
    let text = data(3 * CHUNK_LEN + 500);
    let sealed = Way::Raw.seal(daemon, &id, b"beside", &text).await;
    let sibling = Way::Raw.seal(daemon, &id, b"beside", &text).await;
    let elsewhere = Way::Raw.seal(daemon, &id, b"another", &text).await;
    let chunk = |of: &[u8], number: usize| {
        let start = HEADER_LEN + number * SEALED_CHUNK_LEN;
        of[start..of.len().min(start + SEALED_CHUNK_LEN)].to_vec()
    };
    let header = |of: &[u8]| of[..HEADER_LEN].to_vec();
    let [first, second, third, last] = std::array::from_fn(|number| chunk(&sealed, number));
    let put = |parts: &[&[u8]]| parts.concat();
    let start = header(&sealed);
    let cases = [
        ("nothing", Vec::new()),
        ("the header alone", start.clone()),
        ("cut in the header", sealed[..40].to_vec()),
        ("cut in the first chunk", sealed[..5000].to_vec()),
        ("cut in the third chunk", sealed[..HEADER_LEN + 2 * SEALED_CHUNK_LEN + 9999].to_vec()),
        ("cut between two chunks", sealed[..HEADER_LEN + 2 * SEALED_CHUNK_LEN].to_vec()),
        ("cut a little after a chunk", sealed[..HEADER_LEN + 2 * SEALED_CHUNK_LEN + 3].to_vec()),
        ("without its last byte", sealed[..sealed.len() - 1].to_vec()),
        ("one byte more", put(&[&sealed, b"x"])),
        ("another stream after it", put(&[&sealed, &sibling])),
        ("two chunks changed places", put(&[&start, &second, &first, &third, &last])),
        ("the later two changed places", put(&[&start, &first, &third, &second, &last])),
        ("a chunk is missing", put(&[&start, &first, &third, &last])),
        ("the first chunk is missing", put(&[&start, &second, &third, &last])),
        ("a chunk comes twice", put(&[&start, &first, &first, &second, &third, &last])),
        ("the last comes twice", put(&[&start, &first, &second, &third, &last, &last])),
        ("a sibling's chunk", put(&[&start, &first, &chunk(&sibling, 1), &third, &last])),
        ("a sibling's end", put(&[&start, &first, &second, &chunk(&sibling, 2), &chunk(&sibling, 3)])),
        ("a sibling's header", put(&[&header(&sibling), &first, &second, &third, &last])),
        ("a chunk with other data beside", put(&[&start, &first, &chunk(&elsewhere, 1), &third, &last])),
        ("a stream with other data beside", elsewhere),
    ];
    for (name, changed) in &cases {
        refused(daemon, &id, b"beside", changed, &text, name).await;
    }
    let places = [0, 6, 7, 8, 39, 40, 71, 72, 5000, HEADER_LEN + CHUNK_LEN, HEADER_LEN + SEALED_CHUNK_LEN];
    for at in places.into_iter().chain([sealed.len() - 17, sealed.len() - 1]) {
        let mut changed = sealed.clone();
        changed[at] ^= 0x10;
        refused(daemon, &id, b"beside", &changed, &text, &format!("byte {at}")).await;
    }
    for beside in [&b""[..], b"besid", b"beside\0", b"Beside"] {
        refused(daemon, &id, beside, &sealed, &text, "other data beside").await;
    }
    assert!(Way::Raw.text(Way::Raw.open(daemon, &id, b"beside", &sealed).await) == text);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_session_that_sealed_opens_it() {
    let stage = Stage::new().await;
    let (id, daemon) = (stage.create_id().await, stage.daemon.address());
    let sealed = Way::Raw.seal(daemon, &id, b"", &data(100_000)).await;
    let fresh = format!("{}&fresh=true", stage.create_target());
    for (target, from_cache) in [(stage.create_target(), true), (fresh, false)] {
        let other = stage.get(&target).await.json();
        assert_eq!(other["from_cache"], from_cache, "{other}");
        let other = other["session_id"].as_str().expect("an id");
        refused(daemon, other, b"", &sealed, &data(100_000), "another key").await;
        let told = Way::Json.open(daemon, other, b"", &sealed).await.refusal(422);
        assert!(told.contains("another key"), "{told}");
    }
    assert!(Way::Raw.text(Way::Raw.open(daemon, &id, b"", &sealed).await) == data(100_000));
    // A counter mode stream is not sealed data.
    let encrypted = post(daemon, "encrypt", &[("x-rke-session", &id)], data(1000)).await.good();
    let told = Way::Raw.open(daemon, &id, b"", &encrypted).await.refusal(422);
    assert!(told.contains("not sealed data"), "{told}");
    stage.stop().await;
}
