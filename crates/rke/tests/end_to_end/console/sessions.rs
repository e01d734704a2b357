//! Opens, uses and ends sessions as a person would.

use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use rke_daemon::Daemon;
use rke_engine::Domain;
use rke_engine::settings::Config;
use rke_proto::{Form, KeySetId};
use rke_raida::dns::DnsServer;
use serde_json::json;

use super::pictures::{add_script, changed};
use super::{
    Program, ask_to_delete, behind_relays, cells, choose, close_panels, confirm, console_of, encrypt_panel,
    fill_in, go, live, open_panel, until_said, until_sessions,
};
use crate::chromium::{Browser, Theme};
use crate::records::Detour;
use crate::relay::Fault;
use crate::support::{DOMAIN, Stage, config, get, network};

#[tokio::test(flavor = "multi_thread")]
async fn a_session_lives_from_the_form_to_its_deletion() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = Program::dev(dir.path(), &[]);
    let mut browser = console_of(program.daemon);
    go(&mut browser, "sessions");
    browser.until_text("#session-empty", "No sessions are open");
    browser.until("document.querySelector('#open-wallet').value !== ''");
    open_panel(&mut browser);
    browser.click("#open-button");
    browser.until_text("#open-result", "opened with new shares from the RAIDAs");
    browser.until(&format!("{} >= 13", cells("answered")));
    browser.until("document.title === '1 session – rke console'");
    close_panels(&mut browser);
    until_sessions(&mut browser, 1);
    browser.until_text(".session", "Authenticated");
    let used = |what: &str| format!("document.querySelector('.session-used').title === '{what}'");
    browser.until(&used("0 encrypted, 0 decrypted"));
    encrypt_panel(&mut browser);
    browser.click("#try-form .primary");
    browser.until_text("#try-result", "ciphertext");
    browser.until(&used("1 encrypted, 0 decrypted"));
    browser.click("#try-decrypt");
    browser.until_text("#try-result", "Hello World!");
    browser.until(&used("1 encrypted, 1 decrypted"));
    browser.until_text("#session-facts", "1 encryption, 1 decryption");
    close_panels(&mut browser);
    let listed = get(program.daemon, "/api/rke/sessions").await.json();
    let id = listed["sessions"][0]["session_id"].as_str().expect("an id").to_owned();
    assert_eq!(get(program.daemon, &format!("/api/rke/session/{id}")).await.status, 200);
    ask_to_delete(&mut browser);
    confirm(&mut browser);
    browser.until("document.querySelectorAll('.session').length === 0");
    until_said(&mut browser, "nothing left");
    assert_eq!(get(program.daemon, &format!("/api/rke/session/{id}")).await.status, 404);
    assert_eq!(browser.complaints(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_of_others_appear_by_themselves_and_all_end_at_once() {
    let stage = Stage::new().await;
    let mut browser = console_of(stage.daemon.address());
    go(&mut browser, "sessions");
    browser.until_text("#session-empty", "No sessions are open");
    for count in 1..=3 {
        stage.create().await;
        until_sessions(&mut browser, count);
    }
    browser.until("document.querySelector('#figure-sessions').textContent === '3'");
    browser.click("#delete-all");
    browser.until_text("#confirm-yes", "Delete 3 sessions");
    confirm(&mut browser);
    browser.until("document.querySelectorAll('.session').length === 0");
    until_said(&mut browser, "3 sessions deleted");
    assert_eq!(stage.get("/api/rke/sessions").await.json()["total"], 0);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_undone_is_asked_and_a_double_click_is_no_answer() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    // The page's clock stands still, so that this click comes right after the dialog has opened.
    browser.evaluate("{ const now = performance.now(); performance.now = () => now }");
    ask_to_delete(&mut browser);
    assert_eq!(browser.text(":focus"), "Cancel");
    browser.click("#confirm-yes");
    assert_eq!(browser.evaluate("document.querySelector('#confirm').open"), true);
    browser.press("Escape");
    browser.until("!document.querySelector('#confirm').open");
    assert_eq!(stage.get(&format!("/api/rke/session/{id}")).await.status, 200);
    // A key is meant where it is pressed.
    ask_to_delete(&mut browser);
    browser.evaluate("document.querySelector('#confirm-yes').focus()");
    browser.press("Enter");
    until_sessions(&mut browser, 0);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_breaks_no_name_at_a_hyphen_on_a_phone() {
    let stage = Stage::new().await;
    stage.create().await;
    let mut browser = Browser::start();
    let domains = [
        "one-long-name.of-a-shop.example",
        "another-long-name.of-a-library.example",
        "the-third-one.example",
    ];
    let change = format!(
        "const [own] = body.sessions; \
         const other = (at) => ((parseInt(own.session_id[0], 16) + at + 1) % 16).toString(16) + own.session_id.slice(1); \
         body.sessions = {}.map((domain, at) => ({{ ...own, domain, session_id: other(at) }}))",
        json!(domains)
    );
    add_script(&mut browser, &changed("sessions", &change));
    browser.appear((360, 740, 1), Theme::Light);
    browser.visit(&format!("http://localhost:{}/", stage.daemon.address().port()));
    live(&mut browser);
    go(&mut browser, "sessions");
    browser.click("#delete-all");
    browser.until_text(
        "#confirm-text",
        &domains.join(", ").replace("library.example, ", "library.example and "),
    );
    assert_eq!(browser.broken_words("#confirm", "[\\w-]+"), json!([]));
    browser.press("Escape");
    browser.until("!document.querySelector('#confirm').open");
    ask_to_delete(&mut browser);
    browser.until_text("#confirm-title", &format!("Delete the session with {}?", domains[2]));
    assert_eq!(browser.broken_words("#confirm", "[\\w-]+"), json!([]));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_grid_fills_as_the_shares_arrive() {
    let faults = std::array::from_fn(|raida| if raida < 12 { Fault::None } else { Fault::Held });
    let (detour, relays) = behind_relays(faults, |_| ()).await;
    let mut browser = console_of(detour.daemon.address());
    fill_in(&mut browser, detour.network.wallet());
    browser.click("#open-button");
    browser.until(&format!("{} === 12 && {} === 13", cells("answered"), cells("asked")));
    browser.until_text("#share-ring", "12 of 25 shares");
    browser.until_text("#share-ring", "1 more needed");
    assert_eq!(browser.evaluate("document.querySelectorAll('.session').length"), 0);
    (12..25).for_each(|raida| relays.spoil(raida, Fault::None));
    browser.until("document.querySelectorAll('.session').length === 1");
    browser.until(&format!("{} >= 13", cells("answered")));
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_is_told_in_words() {
    let faults = std::array::from_fn(|raida| if raida < 12 { Fault::None } else { Fault::Dead });
    // This exchange only ends by its timeout.
    let (detour, _relays) =
        behind_relays(faults, |config| config.reloadable.exchange_timeout = Duration::from_secs(1)).await;
    let mut browser = console_of(detour.daemon.address());
    fill_in(&mut browser, detour.network.wallet());
    browser.click("#open-button");
    browser.until_text("#open-result", "Only 12 of 13 required RAIDAs answered.");
    browser.until(&format!("{} === 12 && {} === 13", cells("answered"), cells("failed")));
    browser.until_text(
        "#open-result",
        "No response\nRAIDAs 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23 and 24",
    );
    browser.until_text("#open-result", "Try again in a moment.");
    let help = |status| {
        format!("document.querySelector('#open-result a[href=\"/book/errors.html#error-{status}\"]')")
    };
    browser.until(&help(503));
    let cells_are_shown = "document.querySelector('#share-grid').checkVisibility()";
    assert_eq!(browser.evaluate(cells_are_shown), true);
    // No RAIDA was asked: no cell has anything to show.
    browser.fill("#open-wallet", "/nowhere");
    browser.click("#open-button");
    browser.until_text("#open-result", "The wallet cannot be used");
    browser.until(&help(400));
    assert_eq!(browser.evaluate(cells_are_shown), false);
    browser.fill("#open-domain", "nobody.test");
    browser.fill("#open-wallet", detour.network.wallet().to_str().expect("UTF-8"));
    browser.click("#open-button");
    browser.until_text("#open-result", "DNS does not lead to a Content Server");
    browser.until_text("#open-result .advice code", "rke discover");
    browser.until(&help(502));
    // A flag is not broken at its hyphens.
    browser.evaluate(WEAK);
    browser.click("#open-button");
    browser.until_text("#open-result code", "--allow-weak-shares");
    browser.until("getComputedStyle(document.querySelector('#open-result code')).whiteSpace === 'nowrap'");
    // Without a response, nobody knows whether the session is open.
    browser.evaluate("window.fetch = async () => { throw new TypeError('Failed to fetch') }");
    browser.click("#open-button");
    browser.until_text("#open-result", "The daemon did not respond");
    assert_eq!(browser.evaluate(cells_are_shown), true);
    assert_eq!(browser.text("#share-need"), "The session may be open");
    detour.stop().await;
}

/// Answers requests as a daemon does that accepts no weak shares.
const WEAK: &str = "window.fetch = async () => new Response(JSON.stringify({
  message: 'content.rke.test offers only weak (1-byte) key shares: start the daemon with --allow-weak-shares content.rke.test' }),
  { status: 403 })";

/// Answers requests to renew a session as a daemon does that is not well.
const NO_RENEWAL: &str = "{ const real = window.fetch; window.fetch = (url, options) => url.endsWith('/renew')
  ? Promise.resolve(new Response(JSON.stringify({ message: 'Internal error' }), { status: 500 })) : real(url, options) }";

#[tokio::test(flavor = "multi_thread")]
async fn an_error_notice_leads_to_what_the_book_says_about_it() {
    let limits = |config: &mut Config| config.reloadable.key_limits.messages = 1;
    let stage = Stage::with(limits).await;
    stage.create().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    encrypt_panel(&mut browser);
    browser.click("#try-form .primary");
    browser.until_text("#try-result", "ciphertext");
    browser.click("#try-form .primary");
    browser.until_text("#try-wrong", "This session's key has encrypted as much as one key may");
    browser.until("document.querySelector('#try-wrong a[href=\"/book/errors.html#error-409\"]')");
    close_panels(&mut browser);
    browser.evaluate(NO_RENEWAL);
    choose(&mut browser, "4");
    until_said(&mut browser, "Not renewed: Internal error. Error 500");
    browser.until("document.querySelector('#said a[href=\"/book/errors.html#error-500\"]')");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_daemon_says_so_and_takes_sessions_again_when_one_has_gone() {
    let stage = Stage::with(|config| config.reloadable.max_sessions = 2).await;
    stage.create().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    browser.until("!document.querySelector('#open-button').disabled");
    stage.create().await;
    until_sessions(&mut browser, 2);
    browser.until_text("#open-full", "All 2 sessions are in use. Delete one to open another.");
    browser.until("document.querySelector('#open-button').disabled");
    open_panel(&mut browser);
    browser.until_text("#open-no-room", "All 2 sessions are in use.");
    close_panels(&mut browser);
    ask_to_delete(&mut browser);
    confirm(&mut browser);
    browser.until("!document.querySelector('#open-button').disabled");
    browser.until("document.querySelector('#open-full').hidden");
    stage.stop().await;
}

/// The badges that their cell does not show whole.
const CUT_BADGES: &str = "[...document.querySelectorAll('.session .badge')].filter((badge) =>
  badge.getBoundingClientRect().right > badge.closest('td').getBoundingClientRect().right).map((badge) => badge.textContent)";

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
    browser.until_text(".session", "Weak: 8-bit key");
    browser.until_text(".session", "Not confirmed");
    // On a tablet the two do not fit into one line.
    browser.appear((768, 1024, 1), Theme::Light);
    assert_eq!(browser.evaluate(CUT_BADGES), json!([]));
    browser.until_text(
        "#banners",
        "1 weak session: anyone who saw the exchange finds the 8-bit key in 256 tries.",
    );
    browser.click(".row-open");
    browser.until_text("#session-warnings", "finds this key in 256 tries");
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
    browser.until_text(".session", "Weakly authenticated");
    browser.until_text("#banners", "1 weakly authenticated session");
    browser.click(".row-open");
    browser.until_text("#session-facts", "256 bits");
    browser.until_text("#session-warnings", "The ends know each other by 1-byte shares");
    detour.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cached_keys_are_shown_and_forgotten() {
    let stage = Stage::new().await;
    let mut browser = console_of(stage.daemon.address());
    go(&mut browser, "keys");
    browser.until_text("#key-empty", "No key is cached.");
    stage.create().await;
    browser.until_text("#key-rows", DOMAIN);
    browser.click(".key button");
    confirm(&mut browser);
    browser.until_text("#key-empty", "No key is cached.");
    assert_eq!(stage.get("/api/rke/keys").await.json()["keys"], json!([]));
    assert_eq!(stage.get("/api/rke/sessions").await.json()["active"], 1, "the session goes on");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_renewed_and_its_ring_is_full_again() {
    let stage = Stage::with(|config| config.reloadable.session_ttl = Duration::from_secs(600)).await;
    stage.create().await;
    // A reload gives sessions ten times that life, so that nine tenths of this one's ring are empty at once.
    let mut longer = config(&stage.dir, stage.network.dns_address());
    longer.reloadable.session_ttl = Duration::from_secs(6000);
    stage.daemon.reload(longer).await.expect("a reload");
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    let ring = "document.querySelector('.ring-arc')";
    let empty = format!("{ring}.getAttribute('stroke-dashoffset') / {ring}.getAttribute('stroke-dasharray')");
    browser.until(&format!("{empty} > 0.8"));
    browser.click(".row-open");
    browser.click("#session-renew");
    browser.until(&format!("{empty} < 0.2"));
    until_said(&mut browser, "Renewed");
    stage.stop().await;
}

/// The output of a program.
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
    until_sessions(&mut browser, 1);
    encrypt_panel(&mut browser);
    browser.fill("#try-text", "It's ü & \"more\"");
    browser.click("#try-form .primary");
    browser.until_text("#try-result", "ciphertext");
    let dir = tempfile::tempdir().expect("a folder");
    for command in ["rke_encrypt", "rke_decrypt"] {
        for (tab, program, file) in
            [(1, "sh", "a.sh"), (2, "node", "a.mjs"), (3, "go", "a.go"), (4, "python3", "a.py")]
        {
            browser.click(&format!(".tab:nth-child({tab})"));
            let file = dir.path().join(file);
            std::fs::write(&file, browser.text("#try-code")).expect("written");
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
