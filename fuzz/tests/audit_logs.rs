//! Files of an audit log as `rke audit verify` reads them (`docs/audit-log.md`). With the key, only the file that the daemon
//! wrote is without findings: every change to a line is found, and every cut. Without it, only what a reader of lines and
//! hashes finds whole is.

#![expect(clippy::expect_used, reason = "a test that cannot go on ends by a panic")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use hmac::{Hmac, KeyInit, Mac};
use rke_fuzz::corpus;
use rke_host::audit::{Check, Finding, verify};
use serde_json::Value;
use sha2::{Digest, Sha256};

rke_fuzz::target!(audit_log, check);

const MASTER_KEY: [u8; 32] = [0x42; 32];

/// What follows the number of each line of the honest log.
const EVENTS: [&str; 4] = [
    r#""event":"file_begun","follows":"0000000000000000000000000000000000000000000000000000000000000000""#,
    r#""event":"daemon_started","version":"0.1.0""#,
    r#""session":"00112233445566778899aabb","event":"session_deleted","domain":"content.rke.test""#,
    r#""event":"request_refused","rule":"host","count":3"#,
];

/// The start of a line that was never finished.
const TORN: &str = r#"{"n":3,"time":"2026-07-29T12:00:00.000Z","eve"#;

thread_local! {
    static PLACES: [Place; 2] = [whole(), torn()].map(|log| Place::new(&log));
}

/// A data directory, and a file for logs that are held against it.
struct Place {
    dir: tempfile::TempDir,
    /// With the key.
    check: Check,
    honest: Vec<u8>,
}

impl Place {
    /// With the copy of the last line of this log.
    fn new(honest: &[u8]) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let last = honest.split_inclusive(|byte| *byte == b'\n').next_back().expect("a line");
        for (name, bytes) in [("master.key", MASTER_KEY.as_slice()), ("audit.head", last)] {
            let file = fs::OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(dir.path().join(name));
            file.expect("a file").write_all(bytes).expect("written");
        }
        let check = Check::with_data_dir(dir.path()).expect("a key");
        Self { dir, check, honest: honest.to_vec() }
    }

    fn check(&self, path: &Path, log: &[u8]) -> bool {
        let findings = findings(path, &self.check);
        assert_eq!(findings.is_empty(), log == self.honest, "{findings:?}");
        findings.is_empty()
    }
}

fn findings(path: &Path, check: &Check) -> Vec<Finding> {
    verify(&[path.to_owned()], check).expect("a file that can be read").findings
}

/// Good is what one of the two daemons wrote.
fn check(bytes: &[u8]) -> bool {
    PLACES.with(|places| {
        let path = places[0].dir.path().join("log");
        fs::write(&path, bytes).expect("written");
        let by_hashes = findings(&path, &Check::Hashes);
        // What a log says of its torn lines is not looked at here.
        if !bytes.windows(9).any(|window| window == b"line_torn") {
            assert_eq!(by_hashes.is_empty(), fits(bytes).is_some(), "{by_hashes:?}");
        }
        let taken = places.iter().filter(|place| place.check(&path, bytes)).count();
        assert!(taken == 0 || by_hashes.is_empty(), "{by_hashes:?}");
        taken > 0
    })
}

/// Whether all lines of a file are lines, and each follows the one before it.
fn fits(log: &[u8]) -> Option<()> {
    let mut before: Option<(u64, Vec<u8>)> = None;
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(line.strip_suffix(b"\n")?).ok()?;
        let (body, end) = line.split_at_checked(line.len().checked_sub(END_LEN)?)?;
        let fields: Value = serde_json::from_str(&format!("{body}}}")).ok()?;
        let (number, event) = (fields["n"].as_u64()?, fields["event"].as_str()?);
        let last = match before.take() {
            Some((last, hash)) => (Some(number) == last.checked_add(1)).then_some(hash)?,
            None if event == "file_begun" => {
                hex::decode(fields["follows"].as_str()?).ok().filter(|hash| hash.len() == 32)?
            }
            None => return None,
        };
        let hash = Sha256::new().chain_update(last).chain_update(body).finalize().to_vec();
        let seal = end.strip_prefix(&format!(r#","hash":"{}","seal":""#, hex::encode(&hash)))?;
        let seal = seal.strip_suffix(r#""}"#)?;
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        (seal.len() == 32 && seal.bytes().all(is_digit)).then_some(())?;
        before = Some((number, hash));
    }
    Some(())
}

/// Length of what follows the fields of an event: hash and seal.
const END_LEN: usize = r#","hash":"","seal":""}"#.len() + 64 + 32;

/// Lines as docs/audit-log.md describes them.
struct Log {
    text: Vec<u8>,
    /// That of the next line.
    number: u64,
    hash: Vec<u8>,
    master_key: [u8; 32],
}

impl Log {
    fn new() -> Self {
        Self { text: Vec::new(), number: 1, hash: vec![0; 32], master_key: MASTER_KEY }
    }

    fn add(&mut self, event: &str) {
        let body = format!(r#"{{"n":{},"time":"2026-07-29T12:00:00.000Z",{event}"#, self.number);
        self.hash = Sha256::new().chain_update(&self.hash).chain_update(&body).finalize().to_vec();
        let key = hmac(&self.master_key, &[b"rke audit log v1"]);
        let seal = hmac(&key, &[b"line", &self.number.to_be_bytes(), &self.hash]);
        let (hash, seal) = (hex::encode(&self.hash), hex::encode(&seal[..16]));
        self.text.extend(format!("{body},\"hash\":\"{hash}\",\"seal\":\"{seal}\"}}\n").bytes());
        self.number = self.number.wrapping_add(1);
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn whole() -> Vec<u8> {
    let mut log = Log::new();
    EVENTS.iter().for_each(|event| log.add(event));
    log.text
}

/// A log whose third line was torn, and that goes on after it.
fn torn() -> Vec<u8> {
    let mut log = Log::new();
    EVENTS[..2].iter().for_each(|event| log.add(event));
    log.text.extend(format!("{TORN}\n").bytes());
    let hash = hex::encode(Sha256::digest(TORN));
    log.add(&format!(r#""event":"line_torn","bytes":{},"sha256":"{hash}""#, TORN.len()));
    log.add(EVENTS[3]);
    log.text
}

/// Somebody else's log, which has the highest number there is and goes on.
fn endless() -> Vec<u8> {
    let mut log = Log { number: u64::MAX, master_key: [0x43; 32], ..Log::new() };
    EVENTS[..2].iter().for_each(|event| log.add(event));
    log.text
}

#[test]
fn the_corpus_has_honest_logs_and_what_becomes_of_them() {
    let log = whole();
    let lines: Vec<&[u8]> = log.split_inclusive(|byte| *byte == b'\n').collect();
    let text = String::from_utf8(log.clone()).expect("text");
    let refused = |name: &str, log: Vec<u8>| (format!("refused_{name}"), log);
    // The first digit of the last hash that is a letter.
    let at = text.rfind(r#""hash":""#).expect("a hash") + 8;
    let at = at + text[at..].find(|digit: char| digit.is_ascii_lowercase()).expect("a letter");
    let mut capital = log.clone();
    capital[at].make_ascii_uppercase();
    corpus::holds(
        "audit_log",
        vec![
            ("good_whole".into(), log.clone()),
            ("good_with_a_torn_line".into(), torn()),
            refused("nothing", Vec::new()),
            refused("changed", text.replace("content.rke.test", "content.rke.tess").into_bytes()),
            refused("without_the_last_line", lines[..3].concat()),
            refused("without_the_first_line", lines[1..].concat()),
            refused("without_a_line", [lines[0], lines[1], lines[3]].concat()),
            refused("swapped", [lines[0], lines[2], lines[1], lines[3]].concat()),
            refused("repeated", [&log[..], lines[3]].concat()),
            refused("cut_in_a_line", log[..log.len() - 30].to_vec()),
            refused("without_the_last_line_feed", log[..log.len() - 1].to_vec()),
            refused("an_empty_line_more", [&log[..], b"\n"].concat()),
            refused("a_capital_in_a_hash", capital),
            refused("the_highest_number", endless()),
            refused("carriage_returns", text.replace('\n', "\r\n").into_bytes()),
        ],
    );
}
