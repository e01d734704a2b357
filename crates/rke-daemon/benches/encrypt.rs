//! What wiping costs: encrypting with a session's key, beside the bare cipher in the same run.
//! Prints medians and their ratio. `cargo bench -p rke-daemon --bench encrypt`.

#![expect(clippy::expect_used, reason = "a bench that cannot go on ends by a panic")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rke_daemon::Domain;
use rke_daemon::exchange::KeyOrigin;
use rke_daemon::store::{KeyUse, NewSession, Rules, SessionId, Store};
use rke_daemon::usage::UsageLimits;
use rke_proto::ContentServerId;
use rke_proto::cipher::aes256_ctr;
use rke_proto::derive::ShareWidth;
use rke_secret::Secret;

const ROUNDS: usize = 21;

fn main() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let _in_runtime = runtime.enter();
    let hour = Duration::from_secs(3600);
    let usage = UsageLimits { messages: u64::MAX, bytes: u64::MAX };
    let store =
        Store::new(Rules { max: 16, ttl: hour, max_lifetime: hour, idle: None, usage }, Arc::default());
    let id = SessionId::random().expect("an id");
    store.insert(id, session()).expect("room");
    println!("{:>9} {:>12} {:>12} {:>7}", "bytes", "wiped ns", "bare ns", "ratio");
    for len in [64, 1024, 16 * 1024, 256 * 1024] {
        let mut data = vec![0; len];
        let per_round = (4_000_000 / (len + 400)).max(20);
        let (mut wiped, mut bare) = (Vec::new(), Vec::new());
        // In turn, so that a change of the machine's speed meets both.
        for _ in 0..ROUNDS {
            wiped.push(time(per_round, || {
                let encrypted =
                    store.with_key(id, KeyUse::Encrypt(len), |key| aes256_ctr(key, &[9; 16], &mut data));
                encrypted.expect("a session");
            }));
            let key = black_box([7; 32]);
            bare.push(time(per_round, || aes256_ctr(&key, &[9; 16], black_box(&mut data))));
        }
        let (wiped, bare) = (median(wiped), median(bare));
        println!("{len:>9} {wiped:>12.0} {bare:>12.0} {:>7.2}", wiped / bare);
    }
}

fn session() -> NewSession {
    NewSession {
        domain: Domain::new("content.rke.test").expect("a domain"),
        origin: KeyOrigin {
            cs_id: ContentServerId::new("CS").expect("a CSID"),
            width: ShareWidth::Wide,
            envelopes: vec![5],
            raidas: (0..25).collect(),
            liars: Vec::new(),
            tunnel: None,
        },
        from_cache: false,
        key: Secret::random().expect("a secret"),
        usage: Arc::default(),
    }
}

/// Nanoseconds for each call.
fn time(calls: usize, mut call: impl FnMut()) -> f64 {
    let started = Instant::now();
    (0..calls).for_each(|_| call());
    started.elapsed().as_secs_f64() * 1e9 / calls as f64
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
