//! Many requests: ten thousand nonsensical ones, each from a seed, and a crowd of idle and slow clients around some
//! that work. The daemon keeps serving, and working clients notice nothing.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::real::{Real, get_with, read_to_end};
use crate::support::{PATIENCE, read_some};

const NONSENSE: usize = 10_000;

/// Numbers from a seed, by splitmix64.
pub(crate) struct Chance(u64);

impl From<u64> for Chance {
    fn from(seed: u64) -> Self {
        Self(seed)
    }
}

impl Chance {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(crate) fn of<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        choices[self.below(choices.len())]
    }
}

const METHODS: [&str; 8] = ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "get", "\x16\x03"];
const PATHS: [&str; 20] = [
    "/api/rke/session",
    "/api/rke/session/ID",
    "/api/rke/session/delete",
    "/api/rke/session/ID/renew",
    "/api/rke/session/ID/tunnel",
    "/api/rke/sessions",
    "/api/rke/encrypt",
    "/api/rke/decrypt",
    "/api/rke/seal",
    "/api/rke/open",
    "/api/rke/keys",
    "/api/rke/raidas",
    "/api/rke/status",
    "/api/rke/discover",
    "/metrics",
    "/openapi.json",
    "/",
    "//api//rke/../status",
    "http://localhost/api/rke/status",
    "*",
];
const PARAMETERS: [&str; 14] = [
    "session_id=ID",
    "session_id=",
    "plaintext=SGVsbG8=",
    "plaintext=%ff%00",
    "plaintext=====",
    "ciphertext=AAAA",
    "nonce=00112233445566778899aabbccddeeff",
    "nonce=zz",
    "domain=no.such.test",
    "domain=..",
    "wallet_path=/nonexistent",
    "wallet_path=%2e%2e",
    "verify=maybe",
    "fresh=true&fresh=false",
];
const HEADERS: [&str; 16] = [
    "host: localhost",
    "host: localhost",
    "host: localhost",
    "host: evil.example",
    "host:",
    "origin: http://localhost:3000",
    "origin: https://evil.example",
    "origin: null",
    "sec-fetch-site: cross-site",
    "content-type: application/json",
    "content-type: application/octet-stream",
    "x-rke-session: ID",
    "x-rke-nonce: 00112233445566778899aabbccddeeff",
    "transfer-encoding: chunked",
    "content-length: 7",
    "expect: 100-continue",
];
const BODIES: [&str; 8] = [
    "",
    "{}",
    "{\"session_id\":\"ID\"}",
    "{\"plaintext\":12}",
    "[[[[[[[[[[",
    "7\r\nabcdefg\r\n0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "\0\0\0\0\0\0\0",
];

/// A request that is well-formed in parts. In every third one, some bytes are changed.
fn nonsense(chance: &mut Chance, id: &str) -> Vec<u8> {
    let mut text = format!("{} {}", chance.of(&METHODS), chance.of(&PATHS));
    for at in 0..chance.below(4) {
        text += if at == 0 { "?" } else { "&" };
        text += chance.of(&PARAMETERS);
    }
    text += chance.of(&[" HTTP/1.1\r\n", " HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/2.0\r\n", "\n"]);
    for _ in 0..=chance.below(5) {
        text += chance.of(&HEADERS);
        text += "\r\n";
    }
    text += "\r\n";
    text += chance.of(&BODIES);
    let mut bytes = text.replace("ID", id).into_bytes();
    if chance.below(3) == 0 {
        for _ in 0..=chance.below(4) {
            let at = chance.below(bytes.len());
            bytes[at] = chance.next() as u8;
        }
    }
    bytes
}

/// Whether the request can neither end the session that must live on nor open another.
fn is_harmless(request: &[u8], id: &str) -> bool {
    let text = String::from_utf8_lossy(request);
    !(text.contains("DELETE") || text.contains("/delete") && text.contains(id))
}

/// Checks the responses, and collects their statuses. Each must be complete and in the documented form.
fn check_answers(seed: u64, text: &str, seen: &mut BTreeSet<u16>) {
    for answer in text.split("HTTP/1.1 ").skip(1) {
        let status = answer.get(..3).and_then(|status| status.parse::<u16>().ok()).unwrap_or(0);
        let known = matches!(status, 100 | 200 | 204 | 400..=431 | 502 | 503);
        assert!(known, "seed {seed}: {answer:?}");
        seen.insert(status);
        if status >= 400 && answer.contains("\r\n\r\n{") {
            assert!(answer.contains("\"error\":true"), "seed {seed}: {answer:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_requests_that_make_no_sense_leave_it_serving() {
    let mut real = Real::start(&[]).await;
    let id = real.create_id();
    let mut seen = BTreeSet::new();
    let requests = (0..).map(|seed| (seed, nonsense(&mut Chance(seed), &id)));
    let harmless = requests.filter(|(_, request)| is_harmless(request, &id));
    for (seed, request) in harmless.take(NONSENSE) {
        let mut stream = real.connect();
        // The daemon may respond and close the connection before it has read everything.
        let _ = stream.write_all(&request);
        let _ = stream.shutdown(Shutdown::Write);
        check_answers(seed, &read_to_end(&mut stream), &mut seen);
    }
    assert!([200, 204, 400, 403, 404, 405, 421].iter().all(|status| seen.contains(status)), "{seen:?}");
    assert!(real.ended().is_none() && real.lives(&id));
    assert!(!real.log().contains("panicked"), "{}", real.log());
}

/// Keeps `count` connections to the daemon open, sends a byte of a request on each now and then, and reopens those
/// that the daemon closes.
fn crowd(address: SocketAddr, count: usize, byte: Option<u8>, over: &AtomicBool) {
    let open = || TcpStream::connect(address).expect("connected");
    let mut streams: Vec<TcpStream> = (0..count).map(|_| open()).collect();
    while !over.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(500));
        for stream in &mut streams {
            stream.set_nonblocking(true).expect("a socket");
            let closed = matches!(stream.read(&mut [0; 512]), Ok(0));
            let broken = byte.is_some_and(|byte| stream.write_all(&[byte]).is_err());
            if closed || broken {
                *stream = open();
            }
        }
    }
}

/// Encrypts over one connection until the deadline. Every response must have status 200.
fn work(address: SocketAddr, id: &str, until: Instant, done: &AtomicUsize) {
    let target = format!("/api/rke/encrypt?session_id={id}&plaintext=SGVsbG8=");
    let request = get_with(&target, "host: localhost").replace("connection: close\r\n", "");
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let mut answer = vec![0; 4096];
    while Instant::now() < until {
        stream.write_all(request.as_bytes()).expect("sent");
        let mut len = 0;
        while !answer[..len].ends_with(b"}") {
            let read = read_some(&mut stream, &mut answer[len..]).expect("an answer in time");
            assert_ne!(read, 0, "the daemon hung up on a client that works");
            len += read;
        }
        let text = String::from_utf8_lossy(&answer[..len]);
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_of_idle_and_slow_clients_disturbs_none_that_works() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("more files");
    let real = Real::start(&[]).await;
    let (id, address) = (real.create_id(), real.address);
    let (over, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let until = Instant::now() + Duration::from_secs(31);
    thread::scope(|threads| {
        threads.spawn(|| crowd(address, 1000, None, &over));
        threads.spawn(|| crowd(address, 100, Some(b'x'), &over));
        thread::sleep(Duration::from_secs(1));
        let workers: Vec<_> = (0..64).map(|_| threads.spawn(|| work(address, &id, until, &done))).collect();
        let failed = workers.into_iter().filter_map(|worker| worker.join().err()).count();
        over.store(true, Ordering::Relaxed);
        assert_eq!(failed, 0, "clients that failed");
    });
    let done = done.into_inner();
    assert!(done > 6400, "64 clients were answered only {done} times in 30 s");
    let row = real.get(&format!("/api/rke/session/{id}")).json();
    assert_eq!(row["encrypt_count"], done);
}
