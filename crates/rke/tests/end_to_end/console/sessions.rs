//! Opening, using and ending sessions as a person does it.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use rke_daemon::Daemon;
use rke_engine::Domain;
use rke_proto::{Form, KeySetId};
use rke_raida::dns::DnsServer;
use serde_json::json;

use super::{Program, behind_relays, cells, confirm, console_of, fill_in, until_sessions};
use crate::records::Detour;
use crate::relay::Fault;
use crate::support::{DOMAIN, Stage, config, get, network};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lives_from_the_form_to_its_deletion() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = Program::dev(dir.path(), &[]);
    let mut browser = console_of(program.daemon);
    browser.until_text("#session-empty", "No sessions are open");
    browser.until("document.querySelector('#open-wallet').value !== ''");
    browser.click("#open-button");
    until_sessions(&mut browser, 1);
    assert_eq!(browser.evaluate(&cells("answered")), 25);
    browser.until_text("#open-result", "opened with new shares from the RAIDAs");
    browser.until_text(".session", "Authenticated");
    browser.until_text(".session", "0 encrypted, 0 decrypted");
    browser.click("#try-form .primary");
    browser.until_text("#try-result", "ciphertext");
    browser.until_text(".session", "1 encrypted, 0 decrypted");
    browser.click("#try-decrypt");
    browser.until_text("#try-result", "Hello World!");
    browser.until_text(".session", "1 encrypted, 1 decrypted");
    let listed = get(program.daemon, "/api/rke/sessions").await.json();
    let id = listed["sessions"][0]["session_id"].as_str().expect("an id").to_owned();
    assert_eq!(get(program.daemon, &format!("/api/rke/session/{id}")).await.status, 200);
    browser.click(".session > .danger");
    confirm(&mut browser);
    browser.until("document.querySelectorAll('.session').length === 0");
    browser.until_text("#said", "nothing left");
    assert_eq!(get(program.daemon, &format!("/api/rke/session/{id}")).await.status, 404);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_others_appear_by_themselves_and_all_end_at_once() {
    let stage = Stage::new().await;
    let mut browser = console_of(stage.daemon.address());
    browser.until_text("#session-empty", "No sessions are open");
    for count in 1..=3 {
        stage.create().await;
        until_sessions(&mut browser, count);
    }
    browser.until_text("#figure-sessions", "3");
    browser.click("#delete-all");
    browser.until_text("#confirm-yes", "Delete 3 sessions");
    confirm(&mut browser);
    browser.until("document.querySelectorAll('.session').length === 0");
    browser.until_text("#said", "3 sessions deleted");
    assert_eq!(stage.get("/api/rke/sessions").await.json()["total"], 0);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_is_asked_and_a_double_click_is_no_answer() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    browser.click(".session > .danger");
    assert_eq!(browser.text(":focus"), "Keep");
    browser.click("#confirm-yes");
    assert_eq!(browser.evaluate("document.querySelector('#confirm').open"), true);
    browser.press("Escape");
    browser.until("!document.querySelector('#confirm').open");
    assert_eq!(stage.get(&format!("/api/rke/session/{id}")).await.status, 200);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grid_fills_as_the_shares_arrive() {
    let faults = std::array::from_fn(|raida| if raida < 12 { Fault::None } else { Fault::Slow });
    let (detour, _relays) =
        behind_relays(faults, |config| config.reloadable.exchange_timeout = Duration::from_secs(20)).await;
    let mut browser = console_of(detour.daemon.address());
    fill_in(&mut browser, detour.network.wallet());
    browser.click("#open-button");
    browser.until(&format!("{} === 12 && {} === 13", cells("answered"), cells("asked")));
    browser.until_text(".share-count", "12 shares of 25\n1 more needed");
    assert_eq!(browser.evaluate("document.querySelectorAll('.session').length"), 0);
    until_sessions(&mut browser, 1);
    browser.until(&format!("{} === 25", cells("answered")));
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_in_words() {
    let faults = std::array::from_fn(|raida| if raida < 12 { Fault::None } else { Fault::Dead });
    let (detour, _relays) = behind_relays(faults, |_| ()).await;
    let mut browser = console_of(detour.daemon.address());
    fill_in(&mut browser, detour.network.wallet());
    browser.click("#open-button");
    browser.until_text("#open-result", "Only 12 of 13 required RAIDAs answered.");
    browser.until(&format!("{} === 12 && {} === 13", cells("answered"), cells("failed")));
    browser
        .until_text("#open-result", "no answer\nRAIDA 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23 and 24");
    browser.until_text("#open-result", "Try again in a moment.");
    browser.fill("#open-wallet", "/nowhere");
    browser.click("#open-button");
    browser.until_text("#open-result", "The wallet cannot be used");
    browser.fill("#open-domain", "nobody.test");
    browser.fill("#open-wallet", detour.network.wallet().to_str().expect("UTF-8"));
    browser.click("#open-button");
    browser.until_text("#open-result", "DNS does not lead to a Content Server");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_daemon_says_so_and_takes_sessions_again_when_one_has_gone() {
    let stage = Stage::with(|config| config.reloadable.max_sessions = 2).await;
    stage.create().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    assert_eq!(browser.evaluate("document.querySelector('#open-button').disabled"), false);
    stage.create().await;
    browser.until_text("#open-full", "All 2 places are taken. Delete a session to open another.");
    browser.until("document.querySelector('#open-button').disabled");
    browser.click(".session > .danger");
    confirm(&mut browser);
    browser.until("!document.querySelector('#open-button').disabled");
    browser.until("document.querySelector('#open-full').hidden");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_weak_key_and_one_that_nobody_confirmed_are_marked() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    let mut records = network.add_narrow_key_set().await.expect("a key set of narrow shares");
    records.port = 1;
    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    let dns = DnsServer::start(loopback, [&records], loopback.ip()).await.expect("a DNS server");
    let mut config = config(&dir, dns.address());
    config.reloadable.allow_weak_shares = vec![Domain::new(DOMAIN).expect("a domain")];
    let daemon = Daemon::start(config).await.expect("a daemon");
    let create = format!("/api/rke/session?domain={DOMAIN}&wallet_path={}", network.wallet().display());
    let created = get(daemon.address(), &create).await;
    assert_eq!(created.status, 200, "{}", created.body);
    let mut browser = console_of(daemon.address());
    until_sessions(&mut browser, 1);
    browser.until_text(".session", "8-bit, weak");
    browser.until_text(".session", "Not confirmed");
    browser.until_text(".session", "finds this key in 256 tries");
    daemon.stop().await;
    dns.stop().await;
    network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_that_know_each_other_weakly_are_marked() {
    let dir = tempfile::tempdir().expect("a folder");
    let mut network = network(&dir).await;
    let k2 = KeySetId::new(2).expect("a key set");
    let records = network.add_key_set(k2, Form::Handshake3Narrow).await.expect("a key set of narrow shares");
    let detour = Detour::on(dir, network, records, |config| {
        config.reloadable.allow_weak_shares = vec![Domain::new(DOMAIN).expect("a domain")];
    })
    .await;
    assert_eq!(detour.create().await.status, 200);
    let mut browser = console_of(detour.daemon.address());
    until_sessions(&mut browser, 1);
    browser.until_text(".session", "256-bit");
    browser.until_text(".session", "Weakly authenticated");
    browser.until_text(".session", "The ends know each other by 1-byte shares");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_keys_are_shown_and_forgotten() {
    let stage = Stage::new().await;
    let mut browser = console_of(stage.daemon.address());
    browser.until_text("#key-empty", "No key is cached.");
    stage.create().await;
    browser.until_text("#key-rows", DOMAIN);
    // What moves the button down is there.
    browser.until("document.body.innerText.includes('25 of 25 do well')");
    browser.click(".key button");
    confirm(&mut browser);
    browser.until_text("#key-empty", "No key is cached.");
    assert_eq!(stage.get("/api/rke/keys").await.json()["keys"], json!([]));
    assert_eq!(stage.get("/api/rke/sessions").await.json()["active"], 1, "the session goes on");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_and_its_ring_is_full_again() {
    let stage = Stage::with(|config| config.reloadable.session_ttl = Duration::from_secs(60)).await;
    stage.create().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    let left = "Number(document.querySelector('.ring-arc').getAttribute('stroke-dashoffset'))";
    browser.until(&format!("{left} > 4"));
    browser.click(".session [aria-label^=Renew]");
    browser.until(&format!("{left} < 3"));
    browser.until_text("#said", "Renewed");
    stage.stop().await;
}

/// What a program prints.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program} is needed for this test: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_requests_that_are_shown_run_as_they_are() {
    let stage = Stage::new().await;
    stage.create().await;
    let mut browser = console_of(stage.daemon.address());
    browser.fill("#try-text", "It's ü & \"more\"");
    browser.click("#try-form .primary");
    browser.until_text("#try-result", "ciphertext");
    let dir = tempfile::tempdir().expect("a folder");
    for command in ["rke_encrypt", "rke_decrypt"] {
        for (tab, program, file) in [(1, "sh", "a.sh"), (2, "node", "a.mjs"), (3, "go", "a.go")] {
            browser.click(&format!(".tab:nth-child({tab})"));
            let file = dir.path().join(file);
            std::fs::write(&file, browser.text("#code-text")).expect("written");
            let file = file.to_str().expect("UTF-8");
            let arguments = if program == "go" { vec!["run", file] } else { vec![file] };
            let printed = run(program, &arguments);
            assert!(printed.contains(command), "{program}: {printed}");
        }
        browser.click("#try-decrypt");
        browser.until_text("#try-result", "It's ü & \"more\"");
    }
    stage.stop().await;
}
