//! The console with 10,000 sessions: how it shows them, and how long that takes.

use std::net::SocketAddr;
use std::thread;

use rke_raida::content_server::{Application, ServerConfig};
use serde_json::json;

use super::{DESK, live};
use crate::chromium::{Browser, Theme};
use crate::real::{Files, Real, get_with};
use crate::support::{Stage, network_with};

/// How many sessions a daemon has, and the most that one page may open at once.
const SESSIONS: usize = 10_000;
const SESSIONS_OF_A_PAGE: usize = 200;

/// How many pages open sessions at a time.
const AT_A_TIME: usize = 4;

/// Gives the page 10,000 sessions.
pub(super) const MANY: &str = r#"
const hex = (at) => (0x9e3779b1 * (at + 1) >>> 0).toString(16).padStart(8, '0') + at.toString(16).padStart(24, '0');
const session = (at) => ({
  session_id: hex(at), domain: `host-${at}.example`, cs_id: 'SERVER', created_at: new Date(1.6e12 + at * 1000).toISOString(),
  expires_at: new Date(Date.now() + 36e5).toISOString(), encrypt_count: at, decrypt_count: 0,
});
const sessions = Array.from({ length: 10000 }, (_, at) => session(at));
const many = JSON.stringify({ command: 'rke_sessions', success: true, total: 10000, active: 10000, sessions, weak: 0, weakly_authenticated: 0 });
const detail = (id) => JSON.stringify({
  ...session(parseInt(id.slice(8), 16)), key_bits: 256, envelope: [5], raidas: [0], liars: [], from_cache: false, confirmed: true, key_id: id,
  forward_secret: true, authenticated: 'strong', coin: null, tunnel_broken_off: null,
});
window.asked = 0;
const real = window.fetch;
window.fetch = async (url, options) => {
  const id = /session\/([0-9a-f]{32})$/.exec(url)?.[1];
  if (id) window.asked += 1;
  if (id) return new Response(detail(id));
  return url.endsWith('/api/rke/sessions') ? new Response(many) : real(url, options);
};"#;

/// Notes when the first row appears, in milliseconds from when the page was asked for.
const FIRST_ROW: &str = "new MutationObserver(() => {
  if (document.querySelector('.session')) window.drawn ??= performance.now();
}).observe(document, { childList: true, subtree: true });";

/// How long the list of sessions took to come.
const LIST_TOOK: &str = "performance.getEntriesByType('resource').find((entry) => entry.name.endsWith('/api/rke/sessions')).duration";

/// A browser in which the sessions of a daemon are open, with a script that runs before the console's.
fn sessions_with(script: &str, daemon: SocketAddr) -> Browser {
    let mut browser = Browser::start();
    browser.appear(DESK, Theme::Light);
    browser.order("Page.addScriptToEvaluateOnNewDocument", json!({"source": script}));
    browser.visit(&format!("http://{daemon}/#sessions"));
    live(&mut browser);
    browser
}

/// Filters, and gives how many milliseconds that takes, layout included.
fn filter(text: &str) -> String {
    format!(
        "(() => {{ const field = document.querySelector('#session-filter'); field.value = '{text}'; const began = \
         performance.now(); field.dispatchEvent(new Event('input')); document.body.offsetHeight; return \
         performance.now() - began }})()"
    )
}

/// A daemon with 10,000 sessions. Pages open them, each as many as the gate lets it open at once.
async fn with_10_000_sessions() -> Real {
    let dir = tempfile::tempdir().expect("a folder");
    let mut server = ServerConfig::new(Application::Echo);
    // All are opened with the same coin.
    server.rules.keys_per_coin = 2 * SESSIONS;
    server.rules.max_keys = 2 * SESSIONS;
    let network = network_with(&dir, server).await;
    let flags = ["--max-sessions", "20000"];
    let real = Real::start_on(dir, network, &flags, Files::AsMany);
    let open = |page: usize| {
        let headers = format!("host: localhost\norigin: http://localhost:{}", 10_000 + page);
        for _ in 0..SESSIONS_OF_A_PAGE {
            let created = real.send(get_with(&real.create_target(), &headers));
            assert_eq!(created.status, 200, "{created:?}");
        }
    };
    thread::scope(|threads| {
        for first in 0..AT_A_TIME {
            let open = &open;
            threads.spawn(move || {
                (first..SESSIONS / SESSIONS_OF_A_PAGE).step_by(AT_A_TIME).for_each(open);
            });
        }
    });
    real
}

#[ignore = "opens 10,000 sessions and measures time, so it needs a quiet machine; run by cargo xtask test --long"]
#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_sessions_are_shown_within_a_second_and_filtered_within_a_tenth() {
    let real = with_10_000_sessions().await;
    let sessions = real.get("/api/rke/sessions").json();
    assert_eq!(sessions["active"], SESSIONS);
    let wanted = sessions["sessions"][7_777]["session_id"].as_str().expect("an id");
    let mut browser = sessions_with(FIRST_ROW, real.address);
    browser.until("document.querySelectorAll('.session').length === 50");
    browser.until_text("#session-pager", "1–50 of 10,000");
    let shown = browser.evaluate("window.drawn").as_f64().expect("a number");
    let filtered = browser.evaluate(&filter(wanted)).as_f64().expect("a number");
    browser.until("document.querySelectorAll('.session').length === 1");
    let daemon = browser.evaluate(LIST_TOOK).as_f64().expect("a number");
    println!(
        "first rows of 10,000 sessions: {shown:.0} ms, {daemon:.0} of them the daemon's; a filter: {filtered:.0} ms"
    );
    assert!(shown < 1000.0 && filtered < 100.0, "{shown} ms, {filtered} ms");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_ten_thousand_sessions_a_page_is_drawn_at_once_and_filtered_sorted_and_turned() {
    let stage = Stage::new().await;
    let mut browser = sessions_with(MANY, stage.daemon.address());
    browser.until("document.querySelectorAll('.session').length === 50");
    browser.until_text("#session-pager", "1–50 of 10,000");
    browser.until_text(".row-open", "host-9999.example");
    browser.click("#session-pager button:last-child");
    browser.until_text("#session-pager", "51–100 of 10,000");
    browser.until_text(".row-open", "host-9949.example");
    browser.click("[data-sort=used]");
    browser.click("[data-sort=used]");
    browser.until_text(".row-open", "host-0.example");
    assert_eq!(browser.evaluate("document.querySelector('[aria-sort]').ariaSort"), "ascending");
    browser.evaluate(&filter("HOST-77"));
    browser.until_text("#session-pager", "1–50 of 111");
    browser.evaluate(&filter("host-7777.example server"));
    browser.until("document.querySelectorAll('.session').length === 1");
    browser.evaluate(&filter("nothing"));
    browser.until_text("#session-none", "No session matches the filter.");
    let asked = browser.evaluate("window.asked").as_u64().expect("a number");
    assert!((50..500).contains(&asked), "{asked} sessions were asked about");
    assert_eq!(browser.complaints(), [""; 0]);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_weak_session_counts_in_the_banners_however_many_there_are() {
    let stage = Stage::new().await;
    let script = MANY.replace("weak: 0, weakly_authenticated: 0", "weak: 2500, weakly_authenticated: 1200");
    let mut browser = sessions_with(&script, stage.daemon.address());
    browser.until_text("#banners", "2,500 weak sessions: anyone who saw the exchange");
    browser.until_text("#banners", "1,200 weakly authenticated sessions:");
    browser.click("#delete-all");
    browser.until_text("#confirm-text", "Except keys of 8 bits");
    stage.stop().await;
}
