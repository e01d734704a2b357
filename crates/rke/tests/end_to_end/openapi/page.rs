//! The page that shows the document, in a real browser.

use std::process::Command;
use std::sync::{Arc, Mutex};

use rke_engine::settings::access::TokenRule;
use serde_json::json;

use super::Document;
use crate::browser::{browse, dom, site};
use crate::chromium::{Browser, Theme};
use crate::console::{Program, check_with_axe};
use crate::support::{DOMAIN, Stage, get};

/// A browser that shows the page with an operation open.
fn shown(stage: &Stage, operation: &str) -> Browser {
    let mut browser = Browser::start();
    browser.appear((1280, 900, 1), Theme::Light);
    browser.visit(&format!("http://{}/docs#{operation}", stage.daemon.address()));
    browser.until("document.body.dataset.shown");
    browser
}

/// Fills in the forms, sends the request, and returns the status line of the response.
fn try_it(browser: &mut Browser, operation: &str, fields: &[(&str, &str)]) -> String {
    browser.evaluate(&format!("location.hash = '{operation}'"));
    browser.until(&format!("document.querySelector('#{operation} .try').checkVisibility()"));
    for (name, value) in fields {
        browser.fill(&format!("#try-{operation}-{name}"), value);
    }
    browser.click(&format!("#{operation} .try .primary"));
    browser.until(&format!("document.querySelector('#{operation} .answer strong')"));
    browser.until(&format!("!document.querySelector('#{operation} .try .primary').disabled"));
    browser.text(&format!("#{operation} .answer strong"))
}

#[tokio::test(flavor = "multi_thread")]
async fn it_shows_every_operation_and_tries_them() {
    let stage = Stage::new().await;
    let document = Document::of(stage.daemon.address()).await;
    let mut browser = shown(&stage, "create_session");
    for operation in document.operations() {
        let id = operation.is["operationId"].as_str().expect("an id");
        browser.until(&format!(
            "document.querySelector('details#{id} > summary .path').textContent === '{}'",
            operation.path
        ));
    }
    let wallet = stage.network.wallet().to_str().expect("UTF-8").to_owned();
    let fields = [("domain", DOMAIN), ("wallet_path", &wallet)];
    assert_eq!(try_it(&mut browser, "create_session", &fields), "200 OK");
    browser.until_text("#create_session .answer > pre", "rke_session_create");
    // The next form already contains the values of the last response.
    assert_eq!(try_it(&mut browser, "encrypt", &[]), "200 OK");
    assert_eq!(try_it(&mut browser, "decrypt", &[]), "200 OK");
    browser.until_text("#decrypt .answer > pre", "\"plaintext\": \"SGVsbG8gV29ybGQh\"");
    assert_eq!(try_it(&mut browser, "seal", &[]), "200 OK");
    assert_eq!(try_it(&mut browser, "open", &[]), "200 OK");
    browser.evaluate("location.hash = 'encrypt_by_post'");
    browser.until("document.querySelector('#try-encrypt_by_post-body-type')");
    browser.evaluate("{ const type = document.querySelector('#try-encrypt_by_post-body-type'); type.value = 'application/octet-stream'; type.dispatchEvent(new Event('change')); }");
    assert_eq!(try_it(&mut browser, "encrypt_by_post", &[]), "200 OK");
    browser.until_text("#encrypt_by_post .answer", "12 bytes");
    let id = browser.evaluate("document.querySelector('#try-encrypt-session_id').value");
    browser.until_text(
        "#encrypt_by_post .samples pre",
        &format!("X-RKE-Session: {}", id.as_str().expect("an id")),
    );
    assert_eq!(try_it(&mut browser, "discover", &[("domain", "a..b")]), "400 Bad Request");
    assert_eq!(browser.complaints(), [""; 0]);
    stage.stop().await;
}

/// The code runs in the session that a form has opened, for each of the languages.
#[tokio::test(flavor = "multi_thread")]
async fn the_code_for_each_language_runs() {
    let stage = Stage::new().await;
    let mut browser = shown(&stage, "create_session");
    let wallet = stage.network.wallet().to_str().expect("UTF-8").to_owned();
    let fields = [("domain", DOMAIN), ("wallet_path", &wallet)];
    assert_eq!(try_it(&mut browser, "create_session", &fields), "200 OK");
    for operation in ["encrypt", "encrypt_by_post"] {
        browser.evaluate(&format!("location.hash = '{operation}'"));
        browser.until(&format!("document.querySelector('#{operation} .samples')"));
        for (tab, program, file) in
            [(1, "sh", "a.sh"), (2, "node", "a.mjs"), (3, "go", "a.go"), (4, "python3", "a.py")]
        {
            browser.click(&format!("#{operation} .samples .tab:nth-child({tab})"));
            let file = stage.dir.path().join(file);
            std::fs::write(&file, browser.text(&format!("#{operation} .samples pre"))).expect("written");
            let mut command = Command::new(program);
            command.args((program == "go").then_some("run")).arg(&file);
            let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
            let printed = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(printed.contains("\"ciphertext\""), "{operation}, {program}: {printed} {output:?}");
        }
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_is_found_by_what_is_written_about_it() {
    let stage = Stage::new().await;
    let mut browser = shown(&stage, "create_session");
    let found = "[...document.querySelectorAll('.operation')].filter((one) => one.checkVisibility()).map((one) => one.id)";
    let all = browser.evaluate(&format!("{found}.length"));
    browser.evaluate("document.activeElement.blur()");
    browser.press("/");
    assert_eq!(browser.evaluate("document.activeElement.id"), "search");
    browser.fill("#search", "renew");
    browser.until("document.querySelector('#found').textContent.endsWith(' operations')");
    assert!(browser.evaluate(found).as_array().is_some_and(|some| some.contains(&json!("renew_session"))));
    assert!(browser.evaluate(&format!("{found}.length")).as_u64() < all.as_u64());
    browser.fill("#search", "nothing has this text");
    browser.until_text("#found", "0 of ");
    browser.press("Escape");
    browser.until(&format!("{found}.length === {all}"));
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ended_by_one_click() {
    let stage = Stage::new().await;
    let mut browser = shown(&stage, "delete_sessions");
    browser.until("document.querySelector('#delete_sessions .try')");
    browser.click("#delete_sessions .try .danger");
    browser.until_text("#delete_sessions .warning", "cannot be brought back");
    assert_eq!(browser.evaluate("document.querySelector('#delete_sessions .answer').textContent"), "");
    browser.click("#delete_sessions .buttons button:nth-of-type(2)");
    browser.until_text("#delete_sessions .try .danger", "Send…");
    browser.click("#delete_sessions .try .danger");
    browser.click("#delete_sessions .try .danger");
    browser.until("document.querySelector('#delete_sessions .answer strong')");
    // Everything that can end something asks for confirmation first, and nothing else does.
    let document = Document::of(stage.daemon.address()).await;
    for operation in document.operations() {
        let id = operation.is["operationId"].as_str().expect("an id");
        browser.evaluate(&format!("location.hash = '{id}'"));
        browser.until(&format!("document.querySelector('#{id} .try')"));
        let asks = browser.evaluate(&format!("document.querySelector('#{id} .try .danger') !== null"));
        let ends =
            ["delete_session", "delete_session_by_path", "delete_sessions", "forget_keys"].contains(&id);
        assert_eq!(asks, json!(ends), "{id}");
    }
    stage.stop().await;
}

/// Each operation of the document refers to these errors.
#[tokio::test(flavor = "multi_thread")]
async fn errors_of_every_request_are_shown_once() {
    let stage = Stage::new().await;
    let mut browser = shown(&stage, "encrypt");
    browser.until("document.querySelector('#encrypt .answers')");
    let codes = |place: &str| {
        format!("[...document.querySelectorAll('{place} [class^=code-]')].map((one) => one.textContent)")
    };
    let shared = browser.evaluate(&codes("#errors"));
    for code in ["401", "408", "413", "414", "421", "431", "500"] {
        assert!(shared.as_array().is_some_and(|all| all.contains(&json!(code))), "{code}: {shared}");
    }
    assert_eq!(browser.evaluate(&codes("#encrypt .answers")), json!(["200", "400", "404", "409", "503"]));
    stage.stop().await;
}

#[test]
fn a_network_to_try_proposes_its_session() {
    let dir = tempfile::tempdir().expect("a folder");
    let program = Program::dev(dir.path(), &[]);
    let mut browser = Browser::start();
    browser.visit(&format!("http://{}/docs", program.daemon));
    browser.until("document.body.dataset.shown");
    assert_eq!(try_it(&mut browser, "create_session", &[]), "200 OK");
    assert_eq!(try_it(&mut browser, "create_session_by_post", &[]), "200 OK");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_end_is_shown_as_it_comes_and_can_be_stopped() {
    let stage = Stage::new().await;
    let mut browser = shown(&stage, "events");
    browser.click("#events .try .primary");
    browser.until_text("#events .answer > pre", "event: refusals");
    browser.click("#events .try .buttons button:nth-of-type(3)");
    browser.until_text("#events .answer", "Stopped.");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_loads_nothing_from_elsewhere_and_its_policy_is_strict() {
    let stage = Stage::new().await;
    let mut browser = shown(&stage, "create_session");
    let loaded = browser
        .evaluate("performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin)");
    let origin = format!("http://{}", stage.daemon.address());
    assert!(
        loaded.as_array().is_some_and(|all| all.len() > 8 && all.iter().all(|one| *one == json!(origin))),
        "{loaded}"
    );
    let forbidden = browser.evaluate(
        "new Promise((resolve) => { addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective)); \
         const script = document.createElement('img'); script.src = 'http://127.0.0.2:1/x.png'; })",
    );
    assert_eq!(forbidden, "img-src");
    let page = get(stage.daemon.address(), "/docs").await;
    let policy = page.header("content-security-policy").expect("a policy");
    for rule in ["default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"] {
        assert!(policy.contains(rule) && !policy.contains("unsafe"), "{policy}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_gets_it_into_a_frame() {
    let stage = Stage::new().await;
    let daemon = stage.daemon.address();
    let page = format!("<!doctype html><body><iframe src='http://{daemon}/docs'></iframe>the page</body>");
    let port = site(&Arc::new(Mutex::new(page)));
    let output = browse(&format!("http://localhost:{port}/"));
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(dom(&output).contains("the page") && log.contains("frame-ancestors 'none'"), "{log}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_asks_for_the_token_where_one_is_needed() {
    let stage = Stage::with(|config| config.fixed.token = TokenRule::Required).await;
    assert_eq!(get(stage.daemon.address(), "/openapi.json").await.status, 401);
    let mut browser = Browser::start();
    browser.visit(&format!("http://{}/docs", stage.daemon.address()));
    browser.until_text("#token-title", "Enter the access token");
    browser.fill("#token-text", "not it");
    browser.press("Enter");
    browser.until_text("#token-wrong", "That is not the token");
    let file = stage.daemon.token_file().expect("a token");
    browser.fill("#token-text", std::fs::read_to_string(file).expect("the token").trim());
    browser.press("Enter");
    browser.until("document.body.dataset.shown");
    assert_eq!(try_it(&mut browser, "status", &[]), "200 OK");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_use_it() {
    let stage = Stage::new().await;
    let mut browser = Browser::start();
    browser.order("Page.setBypassCSP", json!({"enabled": true}));
    browser.visit(&format!("http://{}/docs#seal", stage.daemon.address()));
    browser.until("document.querySelector('#seal .try')");
    assert_eq!(try_it(&mut browser, "status", &[]), "200 OK");
    check_with_axe(&mut browser, "docs");
    for width in [390, 320] {
        browser.appear((width, 800, 2), Theme::Light);
        assert_eq!(browser.evaluate("document.documentElement.scrollWidth"), width);
    }
    stage.stop().await;
}
