//! Who gets access to the console, and who does not.

use std::sync::{Arc, Mutex};

use rke_engine::settings::access::{LoopbackOrigins, TokenRule};

use super::{Program, console_of, live, until_sessions};
use crate::browser::{browse, dom, site};
use crate::chromium::Browser;
use crate::support::{Stage, get, raw, request};

#[tokio::test(flavor = "multi_thread")]
async fn every_name_of_loopback_leads_to_it_whatever_pages_of_others_may() {
    let dir = tempfile::tempdir().expect("a folder");
    let v4 = Program::serve(&dir.path().join("4"), "127.0.0.1:0", &["--no-loopback-origins"]);
    let v6 = Program::serve(&dir.path().join("6"), "[::1]:0", &["--no-loopback-origins"]);
    let (v4, v6) = (v4.daemon.port(), v6.daemon.port());
    let mut browser = Browser::start();
    for url in [format!("localhost:{v4}"), format!("127.0.0.1:{v4}"), format!("[::1]:{v6}")] {
        browser.visit(&format!("http://{url}/"));
        live(&mut browser);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_asks_for_the_token_keeps_it_for_the_tab_and_asks_again_after_a_restart() {
    let stage = Stage::with(|config| config.fixed.token = TokenRule::Required).await;
    let daemon = stage.daemon.address();
    let token = std::fs::read_to_string(stage.daemon.token_file().expect("a file")).expect("a token");
    for (path, status) in
        [("/", 200), ("/console/main.js", 200), ("/console/none.js", 401), ("/metrics", 401)]
    {
        assert_eq!(get(daemon, path).await.status, status, "{path}");
    }
    let mut browser = Browser::start();
    browser.visit(&format!("http://{daemon}/"));
    browser.until_text("#token-title", "Enter the access token");
    browser.fill("#token-text", &"0".repeat(64));
    browser.press("Enter");
    browser.until_text("#token-wrong", "That is not the daemon’s token.");
    browser.fill("#token-text", token.trim());
    browser.press("Enter");
    live(&mut browser);
    let create =
        format!("GET {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n", stage.create_target());
    let created = raw(daemon, format!("{create}authorization: Bearer {}\r\n\r\n", token.trim())).await;
    assert_eq!(created.status, 200, "{}", created.body);
    until_sessions(&mut browser, 1);
    assert_eq!(browser.evaluate("localStorage.length + document.cookie.length"), 0);
    assert_eq!(browser.evaluate("Object.values(sessionStorage)")[0], token.trim());
    browser.visit(&format!("http://{daemon}/?again"));
    live(&mut browser);
    browser.evaluate("sessionStorage.setItem('rke-token', '0'.repeat(64))");
    browser.visit(&format!("http://{daemon}/?later"));
    browser.until_text("#token-wrong", "That is not the daemon’s token.");
    stage.stop().await;
}

/// The attempts of a page of another origin to reach the console.
const FOREIGN: &str = r#"<!doctype html><body><iframe src="http://localhost:PORT/?via=frame"></iframe><script type="module">
const tried = [];
for (const [name, path, options] of [
  ['page', '/', {}], ['events', '/api/rke/events', {}], ['refusals', '/api/rke/refusals', {}],
  ['delete', '/api/rke/sessions', { method: 'DELETE' }],
]) {
  try {
    tried.push(`${name} ${(await fetch(`http://localhost:PORT${path}`, options)).status}`);
  } catch {
    tried.push(`${name} unreadable`);
  }
}
try { await import('http://localhost:PORT/console/api.js'); tried.push('module 200') } catch { tried.push('module unreadable') }
const source = new EventSource('http://localhost:PORT/api/rke/events');
await new Promise((done) => { source.onerror = source.onopen = done });
tried.push(source.readyState === EventSource.OPEN ? 'source open' : 'source unreadable');
document.body.textContent = tried.join('; ');
</script>"#;

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_others_cannot_use_it() {
    let stage =
        Stage::with(|config| config.reloadable.access.loopback_origins = LoopbackOrigins::Refused).await;
    stage.create().await;
    let port = stage.daemon.address().port().to_string();
    let theirs = site(&Arc::new(Mutex::new(FOREIGN.replace("PORT", &port))));
    for name in ["evil.test", "localhost"] {
        let output = browse(&format!("http://{name}:{theirs}/"));
        let expected = ["page", "events", "refusals", "delete", "module", "source"];
        let expected = expected.map(|what| format!("{what} unreadable")).join("; ");
        assert!(dom(&output).contains(&expected), "{name}: {}", dom(&output));
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(log.contains("frame-ancestors 'none'"), "{log}");
    }
    assert_eq!(stage.get("/api/rke/sessions").await.json()["active"], 1);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn its_files_carry_a_policy_that_leaves_nothing_to_a_stranger() {
    let stage = Stage::new().await;
    let daemon = stage.daemon.address();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/console/console.css", "text/css; charset=utf-8"),
        ("/console/main.js", "text/javascript; charset=utf-8"),
        ("/console/icon.svg", "image/svg+xml"),
        ("/console/inter.woff2", "font/woff2"),
    ] {
        let answer = get(daemon, path).await;
        assert_eq!((answer.status, answer.header("content-type")), (200, Some(kind)), "{path}");
        let policy = answer.header("content-security-policy").expect("a policy");
        for part in [
            "default-src 'none'",
            "script-src 'self';",
            "style-src 'self';",
            "font-src 'self';",
            "frame-ancestors 'none'",
        ] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(request(daemon, "HEAD", path).await.status, 200);
        assert_eq!(request(daemon, "POST", path).await.status, 405);
    }
    let mut browser = console_of(daemon);
    let blocked = browser
        .evaluate("(() => { try { document.body.innerHTML = '<b>x</b>' } catch { return 'blocked' } })()");
    assert_eq!(blocked, "blocked", "text cannot become markup");
    stage.stop().await;
}
