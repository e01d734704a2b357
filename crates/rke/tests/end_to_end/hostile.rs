//! Thousands of wrong, hostile or truncated requests, each from a seed, to a daemon in a separate process. Every
//! error response has the status, the headers and the body that the OpenAPI document has for the request.
//!
//! `RKE_STORM_REQUESTS=100000` sends more requests, `RKE_STORM_SEED` begins with another seed.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};

use crate::openapi::Document;
use crate::openapi::errors::{Asked, Errors, Response};
use crate::real::{Real, get_with};
use crate::storm::Chance;
use crate::support::{DOMAIN, percent, read_some};

/// Requests to each daemon.
const REQUESTS: u64 = 6000;

const METHODS: [&str; 11] =
    ["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PUT", "PATCH", "CONNECT", "TRACE", "get", "BREW"];

/// Paths that do not exist, that are spelled oddly, or that are files.
const PATHS: [&str; 16] = [
    "/",
    "/docs",
    "/console.js",
    "/api",
    "/api/rke",
    "/api/rke/session/",
    "/api/rke/session//renew",
    "/api/rke/encrypt/",
    "/API/RKE/STATUS",
    "//api//rke/../status",
    "/api/rke/%73tatus",
    "/api/rke/status;x",
    "/api/rke/status#x",
    "http://localhost/api/rke/status",
    "http://evil.example/api/rke/status",
    "*",
];

const IDS: [&str; 8] =
    ["ID", "00000000000000000000000000000000", "%ff", "..", "a%2Fb", "%00", "%C3%A9", "<script>"];

const VALUES: [&str; 24] = [
    "ID",
    "DOMAIN",
    "WALLET",
    "",
    "true",
    "false",
    "maybe",
    "SGVsbG8=",
    "====",
    "%ff",
    "%00",
    "%",
    "+",
    "00112233445566778899aabbccddeeff",
    "zz",
    "no.such.test",
    "a..b",
    "192.0.2.1",
    "b%C3%BCcher.test",
    "/nonexistent",
    "relative",
    "%2F%00",
    "../../etc/passwd",
    "%22%3E%3Cscript%3E",
];

const HEADERS: [&str; 40] = [
    "host: localhost",
    "host: 127.0.0.1:1",
    "host: evil.example",
    "host:",
    "origin: http://localhost:3000",
    "origin: https://evil.example",
    "origin: null",
    "referer: https://evil.example/",
    "sec-fetch-site: cross-site",
    "sec-fetch-mode: no-cors",
    "sec-purpose: prefetch",
    "access-control-request-method: DELETE",
    "authorization: Bearer TOKEN",
    "authorization: Bearer no",
    "authorization: Basic TOKEN",
    "content-type: application/json",
    "content-type: application/json; charset=utf-16",
    "content-type: text/plain",
    "content-type:",
    "x-rke-session: ID",
    "x-rke-session: 00",
    "x-rke-session:",
    "x-rke-nonce: 00112233445566778899aabbccddeeff",
    "x-rke-nonce: 1",
    "x-rke-associated-data: YQ==",
    "x-rke-associated-data: !",
    "x-rke-request: 1",
    "transfer-encoding: chunked",
    "transfer-encoding: gzip",
    "content-length: 7",
    "content-length: 0",
    "content-length: -1",
    "content-length: 70000",
    "content-length: 2000000",
    "expect: 100-continue",
    "connection: close",
    "upgrade: websocket",
    "te: trailers",
    "range: bytes=0-1",
    "x-\u{e9}: 1",
];

const BODIES: [&str; 16] = [
    "",
    "{}",
    "[]",
    "null",
    "{\"session_id\":\"ID\",\"plaintext\":\"SGVsbG8=\"}",
    "{\"session_id\":\"ID\",\"plaintext\":12}",
    "{\"session_id\":\"ID\",\"session_id\":\"ID\"}",
    "{\"session_id\":\"ID\",\"ciphertext\":\"!\",\"nonce\":\"00\"}",
    "{\"session_id\":\"ID\",\"sealed\":\"SGVsbG8=\"}",
    "{\"domain\":\"DOMAIN\",\"wallet_path\":\"WALLET\",\"fresh\":true}",
    "{\"domain\":\"no.such.test\",\"wallet_path\":\"/\"}",
    "[[[[[[[[[[",
    "{\"plaintext\":\"\u{e9}",
    "7\r\nabcdefg\r\n0\r\n\r\n",
    "ffffffffffffffff\r\n",
    "RKESEAL\x01",
];

/// The values for `ID`, `WALLET` and `TOKEN` in the requests.
struct Words {
    id: String,
    wallet: String,
    token: String,
}

/// Generates random requests for the operations of the document.
struct Storm {
    paths: Vec<(String, &'static str, Vec<String>)>,
    words: Words,
}

impl Storm {
    fn request(&self, chance: &mut Chance) -> Vec<u8> {
        let (path, method, parameters) = &self.paths[chance.below(self.paths.len())];
        let path = if chance.below(5) == 0 { chance.of(&PATHS) } else { path };
        let method =
            if chance.below(4) == 0 { chance.of(&METHODS).to_owned() } else { method.to_uppercase() };
        let mut text = format!("{method} {}", path.replace("{id}", chance.of(&IDS)));
        text += &query(chance, parameters);
        text += match chance.below(12) {
            0 => chance.of(&[" HTTP/1.0\r\n", " HTTP/2.0\r\n", " HTTP/1.1\n", "\r\n", " FTP/1\r\n"]),
            _ => " HTTP/1.1\r\n",
        };
        if chance.below(10) != 0 {
            text += "host: localhost\r\n";
        }
        for _ in 0..chance.below(4) {
            text += chance.of(&HEADERS);
            text += "\r\n";
        }
        let body = chance.of(&BODIES);
        if chance.below(2) == 0 {
            text += &format!("content-length: {}\r\n", self.in_words(body).len());
        }
        text += &far_too_much(chance);
        text += "\r\n";
        let mut bytes = self.in_words(&(text + body)).into_bytes();
        if chance.below(6) == 0 {
            for _ in 0..=chance.below(3) {
                let at = chance.below(bytes.len());
                bytes[at] = chance.next() as u8;
            }
        }
        bytes
    }

    fn in_words(&self, text: &str) -> String {
        let Words { id, wallet, token } = &self.words;
        text.replace("ID", id).replace("WALLET", wallet).replace("TOKEN", token).replace("DOMAIN", DOMAIN)
    }
}

/// A query with documented parameters, undocumented ones, or none.
fn query(chance: &mut Chance, parameters: &[String]) -> String {
    let mut query = String::new();
    for name in parameters {
        for _ in 0..[0, 1, 1, 1, 1, 1, 1, 2][chance.below(8)] {
            let value = if chance.below(3) == 0 { chance.of(&VALUES) } else { good(name) };
            query += &format!("&{name}={value}");
        }
    }
    if chance.below(8) == 0 {
        query += &format!("&{}={}", chance.of(&["x", "domain", "verify", "forget", ""]), chance.of(&VALUES));
    }
    query.replacen('&', "?", 1)
}

/// A value that is valid for a parameter.
fn good(parameter: &str) -> &'static str {
    match parameter {
        "session_id" => "ID",
        "domain" => "DOMAIN",
        "wallet_path" => "WALLET",
        "nonce" => "00112233445566778899aabbccddeeff",
        "plaintext" | "ciphertext" => "SGVsbG8=",
        _ => "true",
    }
}

/// Occasionally, headers that are too many or too long.
fn far_too_much(chance: &mut Chance) -> String {
    match chance.below(120) {
        0 => "x: y\r\n".repeat(70),
        1 => format!("x: {}\r\n", "y".repeat(17_000)),
        _ => String::new(),
    }
}

/// The first request in these bytes, if it can be recognized.
fn asked(bytes: &[u8]) -> Option<Asked> {
    let line = bytes.split(|byte| *byte == b'\n').find(|line| !matches!(line, [] | [b'\r']))?;
    let mut words = std::str::from_utf8(line).ok()?.trim_end_matches('\r').split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?);
    let target = match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |at| &rest[at..]),
        None => target,
    };
    let path = target.split(['?', '#']).next()?.to_owned();
    Some(Asked { method, path, sent: String::from_utf8_lossy(bytes).into_owned() })
}

/// Reads until the daemon closes the connection, or until a stream of events begins, which has no end.
fn answer(stream: &mut TcpStream) -> Vec<u8> {
    let (mut bytes, mut piece) = (Vec::new(), [0; 8192]);
    while !String::from_utf8_lossy(&bytes).contains("text/event-stream") {
        match read_some(stream, &mut piece) {
            Ok(0) | Err(_) => break,
            Ok(len) => bytes.extend(&piece[..len]),
        }
    }
    bytes
}

/// The responses in these bytes, as far as they are complete.
fn responses(mut bytes: &[u8], mut is_head: bool) -> Vec<Response> {
    let mut responses = Vec::new();
    while let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        bytes = &bytes[end + 4..];
        let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        let headers = head.lines().skip(1).filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        let mut response = Response { status, headers, body: Vec::new() };
        if status < 200 {
            continue;
        }
        let len = response.header("content-length").and_then(|len| len.parse().ok());
        let len = match len {
            _ if is_head || status == 204 => 0,
            Some(len) => usize::min(len, bytes.len()),
            // Chunked data, or events. It is not an error, and everything that follows belongs to it.
            None => bytes.len(),
        };
        response.body = bytes[..len].to_vec();
        bytes = &bytes[len..];
        responses.push(response);
        is_head = false;
    }
    responses
}

/// A number from the environment.
fn number(name: &str, default: u64) -> u64 {
    env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Sends the requests, and returns the statuses of the responses. Fails on an error that is not as documented.
fn rage(real: &Real, errors: &Errors, mut storm: Storm) -> BTreeSet<u16> {
    let (first, requests) = (number("RKE_STORM_SEED", 0), number("RKE_STORM_REQUESTS", REQUESTS));
    let mut seen = BTreeSet::new();
    for seed in first..first.saturating_add(requests) {
        if seed % 100 == 0 {
            storm.words.id = living(real, &storm.words).unwrap_or(storm.words.id);
        }
        let request = storm.request(&mut Chance::from(seed));
        let asked = asked(&request);
        let mut stream = real.connect();
        // The daemon may respond and close the connection before it has read everything.
        let _ = stream.write_all(&request);
        let _ = stream.shutdown(Shutdown::Write);
        let answered = answer(&mut stream);
        let is_head = asked.as_ref().is_some_and(|asked| asked.method == "HEAD");
        for (at, response) in responses(&answered, is_head).iter().enumerate() {
            seen.insert(response.status);
            // What follows the first request on a connection is a random part of its body.
            let asked = asked.as_ref().filter(|_| at == 0);
            let faults = if response.status < 400 { Vec::new() } else { errors.faults(asked, response) };
            assert!(
                faults.is_empty(),
                "RKE_STORM_SEED={seed} RKE_STORM_REQUESTS=1: {faults:#?}\n{:?}\n{} {:?}\n{}",
                String::from_utf8_lossy(&request),
                response.status,
                response.headers,
                String::from_utf8_lossy(&response.body)
            );
        }
    }
    seen
}

/// The id of a live session, if one can be opened.
fn living(real: &Real, words: &Words) -> Option<String> {
    let target = real.create_target();
    let head = format!("host: localhost\nauthorization: Bearer {}", words.token);
    let created = real.send(get_with(&target, &head));
    (created.status == 200).then(|| created.json()["session_id"].as_str().expect("an id").to_owned())
}

fn storm(real: &Real, errors: &Errors, token: &str) -> Storm {
    let wallet = percent(real.network.wallet().to_str().expect("UTF-8"));
    let words = Words { id: "0".repeat(32), wallet, token: token.to_owned() };
    Storm { paths: errors.paths(), words }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_error_in_a_storm_is_one_that_the_document_has_for_its_request() {
    let errors = Errors::of(Document::copy());
    let mut real = Real::start(&["--max-sessions", "2", "--key-max-messages", "3"]).await;
    let seen = rage(&real, &errors, storm(&real, &errors, "none"));
    let provoked = [400, 403, 404, 405, 413, 421, 429, 431, 502];
    assert!(provoked.iter().all(|status| seen.contains(status)), "{seen:?}");
    assert!(real.ended().is_none() && !real.log().contains("panicked"), "{}", real.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_is_every_error_of_a_daemon_that_requires_its_token_and_confines_wallets() {
    let errors = Errors::of(Document::copy());
    let wallets = tempfile::tempdir().expect("a folder");
    let root = wallets.path().to_str().expect("UTF-8").to_owned();
    let mut real = Real::start(&["--require-token", "--wallet-root", &root]).await;
    let token = fs::read_to_string(real.data_dir().join("token")).expect("the token");
    let seen = rage(&real, &errors, storm(&real, &errors, token.trim()));
    let provoked = [400, 401, 403, 404, 405, 413, 421, 431];
    assert!(provoked.iter().all(|status| seen.contains(status)), "{seen:?}");
    assert!(real.ended().is_none() && !real.log().contains("panicked"), "{}", real.log());
}
