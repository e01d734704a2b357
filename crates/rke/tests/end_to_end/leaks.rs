//! Markers in every part of a request, and the secrets of the daemon: none of them appears in the log, at any level
//! and in either form, in the metrics, or in the audit log.

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rke_host::data_dir::{Role, read_sealer};
use rke_host::wallet::{CoinFile, coin_files};
use rke_proto::RaidaIndex;

use crate::real::{Real, get_with, request_with};
use crate::support::DOMAIN;

const MARKER: &str = "MARKER-7f3a";
const ENCODED: &str = "TUFSS0VSLTdmM2E=";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_that_is_told_holds_what_must_not_be_told() {
    for format in ["json", "text"] {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = folder.path().join("audit.log");
        let path = audit.to_str().expect("UTF-8");
        let mut real = Real::start(&["--log", "trace", "--log-format", format, "--audit-log", path]).await;
        let (id, kept) = (real.create_id(), real.create_id());
        // Now, while the cache still has it.
        let secrets = secrets(&real.data_dir(), real.network.wallet());
        use_everything(&real, &id);
        let metrics = real.get("/metrics").body;
        let others = real.get("/api/rke/status").body + &real.get("/health/ready").body;
        real.terminate();
        let told = [
            ("the log", real.log()),
            ("the metrics", metrics),
            ("the audit log", fs::read_to_string(&audit).expect("a log")),
            ("other answers", others),
        ];
        assert!(told[0].1.contains("session deleted") && told[0].1.contains("TRACE"), "{}", told[0].1);
        assert!(told[2].1.contains("session_deleted") && told[2].1.contains(DOMAIN), "{}", told[2].1);
        assert!(!told[1].1.contains(DOMAIN));
        let wallet = real.network.wallet().to_str().expect("UTF-8").to_owned();
        let words =
            [MARKER, ENCODED, &id, &id.to_uppercase(), &kept, &wallet, "plaintext="].map(str::to_owned);
        assert!(secrets.len() > 100);
        for word in words.iter().chain(&secrets) {
            for (where_, text) in &told {
                assert!(!text.contains(word.as_str()), "{word} is in {where_} ({format}): {text}");
            }
        }
    }
}

/// Sends markers in every part of a request that the daemon reads.
fn use_everything(real: &Real, id: &str) {
    let headers = format!(
        "host: localhost\nauthorization: Bearer {MARKER}\nx-marker: {MARKER}\nx-request-id: {MARKER}\nx-rke-session: {MARKER}"
    );
    for target in [
        format!("/api/rke/encrypt?session_id={id}&plaintext={ENCODED}"),
        format!("/api/rke/encrypt?session_id={MARKER}&plaintext={ENCODED}"),
        format!("/api/rke/decrypt?session_id={id}&nonce={}&ciphertext={ENCODED}", "0".repeat(32)),
        format!("/api/rke/session?domain={DOMAIN}&wallet_path=/{MARKER}"),
        format!("/api/rke/session?domain={DOMAIN}&wallet_path={MARKER}"),
        format!("/api/rke/session/{MARKER}"),
        format!("/api/rke/session/{id}"),
        format!("/{MARKER}?{MARKER}"),
        format!("/metrics?{MARKER}"),
        format!("/health/live?{MARKER}"),
    ] {
        real.send(get_with(&target, &headers));
    }
    real.send(request_with(MARKER, "/api/rke/status", &headers));
    real.send(request_with("POST", &format!("/api/rke/session/{id}/renew"), &headers));
    real.send(request_with("POST", &format!("/api/rke/session/{MARKER}/tunnel"), &headers));
    send_bodies(real, id);
    real.send_raw(format!("{MARKER}\r\n\r\n"));
    real.send(get_with("/", &format!("host: {MARKER}.test")));
    real.send(get_with("/", &format!("host: localhost\norigin: https://{MARKER}.test")));
    assert_eq!(real.get(&format!("/api/rke/session/delete?session_id={id}&forget=true")).status, 200);
}

fn send_bodies(real: &Real, id: &str) {
    let zeros = "0".repeat(32);
    let head = format!(
        "host: localhost\nx-rke-session: {id}\nx-rke-nonce: {zeros}\nx-rke-associated-data: {ENCODED}"
    );
    let json = format!(r#"{{"session_id":"{id}","plaintext":"{ENCODED}","{MARKER}":"{MARKER}"}}"#);
    for path in ["encrypt", "decrypt", "seal", "open", "session"] {
        for (kind, body) in [("text/plain", MARKER), ("application/json", &json)] {
            let head = format!("{head}\ncontent-type: {kind}\ncontent-length: {}", body.len());
            let answer = real.send_raw(request_with("POST", &format!("/api/rke/{path}"), &head) + body);
            assert!(answer.starts_with("HTTP/1.1 "), "{answer}");
        }
    }
}

/// The ANs of a wallet and the keys of a data directory, in each form in which bytes are printed.
fn secrets(data_dir: &Path, wallet: &Path) -> Vec<String> {
    let mut secrets = Vec::new();
    for path in coin_files(&wallet.join("Bank")) {
        let file = CoinFile::open(&path).expect("coins");
        for raida in RaidaIndex::all() {
            file.an(0, raida).expect("an AN").expose(|an| secrets.extend(forms(an)));
        }
    }
    let sealer = read_sealer(data_dir, Role::Daemon).expect("a sealer");
    for entry in fs::read_dir(data_dir.join("cache")).expect("a folder").flatten() {
        let (_, key) = sealer.read::<32>(&entry.path()).expect("a cached key");
        key.expose(|key| secrets.extend(forms(key)));
    }
    secrets.extend(forms(&fs::read(data_dir.join("master.key")).expect("a master key")));
    sealer.derive(b"rke audit log v1").expect("a key").expose(|key| secrets.extend(forms(key)));
    secrets
}

/// Half of the bytes in each form. Even half of a secret would be a leak.
fn forms(bytes: &[u8]) -> [String; 4] {
    let half = &bytes[..bytes.len() / 2];
    let numbers: Vec<String> = half.iter().map(u8::to_string).collect();
    let base64 = STANDARD.encode(&half[..half.len() / 3 * 3]);
    [hex::encode(half), hex::encode_upper(half), base64, numbers.join(", ")]
}
