//! What wiping costs: encrypting with a session's key, compared with the bare cipher in the same run. Prints medians
//! and their ratio, and how fast chunks are encrypted and sealed; compare that with `openssl speed -evp aes-256-gcm
//! -bytes 65536`. `cargo bench -p rke-engine --bench encrypt`.

#![expect(clippy::expect_used, reason = "a bench that cannot go on ends by a panic")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rke_engine::Domain;
use rke_engine::model::clock::Moment;
use rke_engine::model::key_origin::KeyOrigin;
use rke_engine::model::server_name::ServerName;
use rke_engine::model::session_id::SessionId;
use rke_engine::model::session_key::SessionKey;
use rke_engine::model::usage::UsageLimits;
use rke_engine::store::{KeyUse, NewSession, SessionLimits, Store};
use rke_proto::ContentServerId;
use rke_proto::Form;
use rke_proto::cipher::{aes256_ctr, aes256_ctr_from, aes256_ctr_stack_use};
use rke_proto::seal::{CHUNK_LEN, Sealer, TAG_LEN};
use rke_secret::Secret;
use rke_secret::process::block_signals;

const ROUNDS: usize = 21;

fn main() {
    // Like the daemon. Without this, more is wiped, because a signal could arrive.
    block_signals().expect("signals to be blocked");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _in_runtime = runtime.enter();
    let hour = Duration::from_secs(3600);
    let usage = UsageLimits { messages: u64::MAX, bytes: u64::MAX };
    let store = Store::new(
        SessionLimits { max: 16, ttl: hour, max_lifetime: hour, idle: None, usage },
        Box::new(|_, ended, _| drop(ended)),
    );
    let id = SessionId::random().expect("an id");
    store.insert(id, session()).expect("room");
    println!("{:>9} {:>12} {:>12} {:>7}", "bytes", "wiped ns", "bare ns", "ratio");
    for len in [64, 1024, 16 * 1024, 256 * 1024] {
        let mut data = vec![0; len];
        let per_round = (4_000_000 / (len + 400)).max(20);
        let (mut wiped, mut bare) = (Vec::new(), Vec::new());
        // Alternating, so that a change of the machine's speed affects both.
        for _ in 0..ROUNDS {
            wiped.push(time(per_round, || {
                let encrypt = |key: &[u8; 32]| aes256_ctr(key, &[9; 16], &mut data);
                let (key_use, now) = (KeyUse::Encrypt(len), Moment::now());
                let stack_use = aes256_ctr_stack_use();
                store.with_key_within(id, key_use, now, stack_use, encrypt).expect("a session");
            }));
            let key = black_box([7; 32]);
            bare.push(time(per_round, || aes256_ctr(&key, &[9; 16], black_box(&mut data))));
        }
        let (wiped, bare) = (median(wiped), median(bare));
        println!("{len:>9} {wiped:>12.0} {bare:>12.0} {:>7.2}", wiped / bare);
    }
    chunks(&store, id);
}

/// Chunks of streams. For each chunk, its key is derived and expanded.
fn chunks(store: &Store, id: SessionId) {
    let (mut encrypted, mut sealed) = (Vec::new(), Vec::new());
    let mut chunk = vec![0; CHUNK_LEN + TAG_LEN];
    let mut sealer = Sealer::new(&[1; 32], b"");
    for _ in 0..ROUNDS {
        chunk.truncate(CHUNK_LEN);
        encrypted.push(time(500, || {
            let done = store.with_key(id, KeyUse::EncryptMore(CHUNK_LEN), |key| {
                aes256_ctr_from(key, &[9; 16], 1 << 40, &mut chunk)
            });
            done.expect("a session");
        }));
        sealed.push(time(500, || {
            chunk.truncate(CHUNK_LEN);
            let done = store.with_key(id, KeyUse::EncryptMore(CHUNK_LEN), |key| sealer.seal(key, &mut chunk));
            done.expect("a session").expect("a chunk");
        }));
    }
    let speed = |times| CHUNK_LEN as f64 * 1e3 / median(times);
    println!("chunks of 64 KiB, MB/s: encrypted {:.0}, sealed {:.0}", speed(encrypted), speed(sealed));
}

fn session() -> NewSession {
    NewSession {
        origin: Arc::new(KeyOrigin {
            domain: Domain::new("content.rke.test").expect("a domain"),
            cs_id: ContentServerId::new("CS").expect("a CSID"),
            form: Form::Wide,
            envelopes: vec![5],
            raidas: (0..25).collect(),
            liars: Vec::new(),
            coins: Vec::new(),
            proven: None,
            server: ServerName { host: "cs.rke.test".into(), port: 443 },
            tunnel: None,
        }),
        page: None,
        from_cache: false,
        key: SessionKey::Narrow { key: Secret::random().expect("a secret"), usage: Arc::default() },
    }
}

/// Nanoseconds per call.
fn time(calls: usize, mut call: impl FnMut()) -> f64 {
    let started = Instant::now();
    (0..calls).for_each(|_| call());
    started.elapsed().as_secs_f64() * 1e9 / calls as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
