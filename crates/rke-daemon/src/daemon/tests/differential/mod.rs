//! Compares the fast path with the router. A daemon with the fast path and one without it have the same sessions
//! and get the same bytes. Their responses, whether the connection continues, the sessions that are left and the
//! counters have to be the same. `RKE_DIFFERENTIAL_CASES` and `RKE_DIFFERENTIAL_SEED` make the test try more
//! connections or repeat a run.

mod answers;
mod heads;

use std::env;
use std::fmt::Debug;
use std::net::SocketAddr;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rke_engine::model::session_id::SessionId;
use rke_engine::settings::{Config, FastPath};
use rke_engine::store::samples::session;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use self::answers::{comparable, order_of_headers};
use self::heads::{Heads, Random};
use crate::Daemon;
use crate::http::routes;

/// How many connections are tried, unless the environment sets another number. Each carries two requests or more.
const CASES: u64 = 2_000;
const SEED: u64 = 1;

/// How many connections to each daemon run at one time, and how many sessions each of them has.
const WORKERS: u64 = 16;
const SESSIONS: usize = 3;

/// How long a client waits for a response before it continues.
const PATIENCE: Duration = Duration::from_millis(30);
/// How long a daemon stays silent before the test takes it to be waiting for its client.
const SILENCE: Duration = Duration::from_millis(300);
/// Much longer than anything takes here, even on a busy machine.
const LONG: Duration = Duration::from_secs(30);

/// A daemon with the fast path and one without it.
struct Pair {
    fast: Daemon,
    routed: Daemon,
    _dir: tempfile::TempDir,
}

/// The bytes that a client sends over one connection.
struct Case {
    pieces: Vec<Vec<u8>>,
    pace: Pace,
}

/// When the next piece is sent.
#[derive(Debug, Clone, Copy)]
enum Pace {
    AtOnce,
    AfterAMoment,
    AfterAnAnswer,
}

impl Pair {
    async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let start = |name: &str, fast_path| {
            let mut config = Config::new(dir.path().join(name));
            config.fixed.listen = vec![SocketAddr::from(([127, 0, 0, 1], 0)).into()];
            config.fixed.fast_path = fast_path;
            config.reloadable.max_sessions = WORKERS as usize * SESSIONS;
            Daemon::start(config)
        };
        let fast = start("fast", FastPath::On).await.expect("a daemon");
        let routed = start("routed", FastPath::Off).await.expect("a daemon");
        Self { fast, routed, _dir: dir }
    }

    /// Opens these sessions in both daemons.
    fn open(&self, ids: &[SessionId]) {
        for sessions in [&self.fast, &self.routed].map(|daemon| daemon.sessions()) {
            for id in ids.iter().filter(|id| sessions.show_own(**id).is_none()) {
                sessions.insert(*id, session(7)).expect("room");
            }
        }
    }

    /// Sends the same bytes to both daemons and compares the results.
    async fn check(&self, case: &Case, ids: &[SessionId]) {
        self.open(ids);
        let both = [&self.fast, &self.routed];
        let (fast, routed) =
            tokio::join!(case.answers_of(self.fast.address()), case.answers_of(self.routed.address()));
        let (fast, routed) = (comparable(&fast), comparable(&routed));
        for at in 0..fast.len().max(routed.len()) {
            assert_eq!(fast.get(at), routed.get(at), "answer {at} to {case}");
        }
        let [fast, routed] = both
            .map(|daemon| ids.iter().map(|id| daemon.sessions().show_own(*id).is_some()).collect::<Vec<_>>());
        assert_eq!(fast, routed, "the sessions that are left after {case}");
    }

    /// Compares the counters and stops both daemons. Returns the counters.
    async fn finish(self) -> Vec<String> {
        let [fast, routed] = [counters(&self.fast).await, counters(&self.routed).await];
        assert_eq!(fast, routed);
        tokio::join!(self.fast.stop(), self.routed.stop());
        fast
    }
}

impl Case {
    /// Everything that a daemon sends back.
    async fn answers_of(&self, address: SocketAddr) -> Vec<u8> {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.set_nodelay(true).expect("no delay");
        let mut got = Vec::new();
        for piece in &self.pieces {
            // A daemon that has closed the connection takes no more.
            if stream.write_all(piece).await.is_err() {
                break;
            }
            match self.pace {
                Pace::AtOnce => (),
                Pace::AfterAMoment => sleep(Duration::from_millis(1)).await,
                Pace::AfterAnAnswer => drop(timeout(PATIENCE, stream.read_buf(&mut got)).await),
            }
        }
        // Most connections end with the last response. If a daemon waits for more, nothing more arrives.
        while let Ok(read) = timeout(SILENCE, stream.read_buf(&mut got)).await {
            if !read.is_ok_and(|len| len > 0) {
                return got;
            }
        }
        let _ = stream.shutdown().await;
        let end = timeout(LONG, stream.read_to_end(&mut got)).await;
        assert!(end.is_ok(), "no end of the answers to {self}");
        got
    }

    /// Requests made from a seed. The last one is valid: its response shows that the connection continued, and ends
    /// it.
    fn random(random: &mut Random, sessions: &[String]) -> Self {
        let count = 1 + random.below(3);
        let mut heads = Heads { random, sessions };
        let mut requests: Vec<Vec<u8>> = (0..count).map(|_| heads.one()).collect();
        requests.push(last(routes::LIVE.path).into());
        let all = requests.concat();
        let (pieces, pace) = match random.below(40) {
            // A late body makes hyper behave differently depending on how late it is, on both paths.
            _ if heads::declares_body(&all) => (vec![all], Pace::AtOnce),
            0 if all.len() < 1_000 => (all.chunks(1).map(<[u8]>::to_vec).collect(), Pace::AfterAMoment),
            0..=7 => (cut(&all, random), Pace::AfterAMoment),
            8..=19 => (requests, Pace::AfterAnAnswer),
            _ => (vec![all], Pace::AtOnce),
        };
        Self { pieces, pace }
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}:", self.pace)?;
        self.pieces.iter().try_for_each(|piece| {
            let shown = &piece[..piece.len().min(400)];
            write!(f, "\n  {} bytes: \"{}\"", piece.len(), shown.escape_ascii())
        })
    }
}

/// Cuts the bytes into pieces of any size.
fn cut(all: &[u8], random: &mut Random) -> Vec<Vec<u8>> {
    let mut ends: Vec<usize> = (0..=random.below(4)).map(|_| random.below(all.len())).collect();
    ends.sort_unstable();
    ends.push(all.len());
    let starts = std::iter::once(0).chain(ends.clone());
    starts.zip(&ends).map(|(start, end)| all[start..*end].to_vec()).collect()
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// Like [`get`], but the connection ends with the response.
fn last(target: &str) -> String {
    get(target).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n")
}

/// The counters of a daemon that requests change, as `/metrics` shows them.
async fn counters(daemon: &Daemon) -> Vec<String> {
    let case = Case { pieces: vec![last(routes::METRICS.path).into()], pace: Pace::AtOnce };
    let text = String::from_utf8(case.answers_of(daemon.address()).await).expect("text");
    let counters = [
        "rke_http_requests_total{",
        "rke_http_request_duration_seconds_count{",
        "rke_refusals_total{",
        "rke_sessions ",
    ];
    let ours = |line: &&str| counters.iter().any(|name| line.starts_with(name));
    let mut lines: Vec<String> = text.lines().filter(ours).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Comparing only errors would show little, so this checks that each kind of frequent request has succeeded.
fn check_successes(counters: &[String]) {
    for path in [routes::ENCRYPT, routes::DECRYPT, routes::DELETE].map(|route| route.path) {
        let success = format!("route=\"{path}\",method=\"GET\",status=\"2xx\"");
        assert!(counters.iter().any(|line| line.contains(&success)), "{path}: {counters:#?}");
    }
}

fn from_environment<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    env::var(name).map_or(default, |text| text.parse().expect(name))
}

fn ids(random: &mut Random) -> (Vec<SessionId>, Vec<String>) {
    let texts: Vec<String> =
        (0..SESSIONS).map(|_| format!("{:016x}{:016x}", random.number(), random.number())).collect();
    (texts.iter().map(|text| SessionId::parse(text).expect("an id")).collect(), texts)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_requests_are_answered_alike_on_both_ways() {
    let cases = from_environment("RKE_DIFFERENTIAL_CASES", CASES);
    let seed = from_environment("RKE_DIFFERENTIAL_SEED", SEED);
    println!("RKE_DIFFERENTIAL_SEED={seed} RKE_DIFFERENTIAL_CASES={cases}");
    let pair = Arc::new(Pair::start().await);
    let mut workers = JoinSet::new();
    for worker in 0..WORKERS {
        let (pair, mut random) = (Arc::clone(&pair), Random(seed.wrapping_mul(WORKERS).wrapping_add(worker)));
        workers.spawn(async move {
            let (ids, texts) = ids(&mut random);
            for _ in 0..cases.div_ceil(WORKERS) {
                pair.check(&Case::random(&mut random, &texts), &ids).await;
            }
        });
    }
    while let Some(ended) = workers.join_next().await {
        ended.expect("both ways answer alike");
    }
    check_successes(&Arc::into_inner(pair).expect("no worker").finish().await);
}

#[tokio::test(flavor = "multi_thread")]
async fn frequent_requests_may_be_cut_at_every_byte() {
    let (pair, (ids, texts)) = (Pair::start().await, ids(&mut Random(SEED)));
    let id = &texts[0];
    let encrypt = format!("{}?session_id={id}&plaintext=YQ==", routes::ENCRYPT.path);
    let decrypt = format!(
        "{}?session_id={id}&ciphertext=YQ==&nonce=00112233445566778899aabbccddeeff",
        routes::DECRYPT.path
    );
    let delete = format!("{}?session_id={id}", routes::DELETE.path);
    for target in [encrypt, decrypt, delete] {
        let all = get(&target) + &last(routes::LIVE.path);
        for at in 0..all.len() {
            let (one, other) = all.as_bytes().split_at(at);
            let case = Case { pieces: vec![one.into(), other.into()], pace: Pace::AfterAMoment };
            pair.check(&case, &ids).await;
        }
    }
    check_successes(&pair.finish().await);
}

/// The router writes the same headers in another order. Without that difference, these tests would compare a path
/// with itself.
#[tokio::test(flavor = "multi_thread")]
async fn there_are_two_ways() {
    let (pair, (ids, texts)) = (Pair::start().await, ids(&mut Random(SEED)));
    pair.open(&ids);
    let target = format!("{}?session_id={}&plaintext=YQ==", routes::ENCRYPT.path, texts[0]);
    let case = Case { pieces: vec![(get(&target) + &last(routes::LIVE.path)).into()], pace: Pace::AtOnce };
    let order = [&pair.fast, &pair.routed].map(|daemon| case.answers_of(daemon.address()));
    let [fast, routed] = order;
    assert_ne!(order_of_headers(&fast.await), order_of_headers(&routed.await));
    pair.finish().await;
}
