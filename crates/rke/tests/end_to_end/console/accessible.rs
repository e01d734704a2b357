//! Whether everyone can use the console: no serious finding of axe-core in any state and theme, full use by
//! keyboard, and nothing cut off on a narrow screen.

use std::time::Duration;

use rke_engine::settings::access::TokenRule;
use serde_json::{Value, json};

use super::{
    DESK, ask_to_delete, behind_relays, beside, close_panels, confirm, console_of, encrypt_panel, fill_in,
    go, live, open_panel, until_sessions,
};
use crate::chromium::{Browser, Theme};
use crate::relay::Fault;
use crate::support::{PATIENCE, Stage};

/// Fails if axe-core has serious or critical findings, in either theme.
pub(crate) fn check(browser: &mut Browser, state: &str) {
    let axe = std::fs::read_to_string(beside("tests/axe/axe.min.js")).expect("axe-core");
    browser.evaluate(&axe);
    for theme in [Theme::Light, Theme::Dark] {
        browser.appear(DESK, theme);
        // Colours change gradually.
        browser.until("!document.getAnimations().some((animation) => animation instanceof CSSTransition)");
        let found = browser.evaluate("axe.run().then((result) => result.violations)");
        let found = found.as_array().expect("a list").iter();
        let bad: Vec<Value> = found
            .filter(|found| ["serious", "critical"].iter().any(|impact| found["impact"] == *impact))
            .map(|found| json!([found["id"], found["nodes"][0]["html"], found["nodes"][0]["failureSummary"]]))
            .collect();
        assert_eq!(bad, [Value::Null; 0], "{state}, {}", theme.name());
    }
    browser.appear(DESK, Theme::Light);
}

/// The page for use with axe-core, which needs more than the page's policy allows.
fn console_for_axe(daemon: std::net::SocketAddr) -> Browser {
    let mut browser = Browser::start();
    browser.order("Page.setBypassCSP", json!({"enabled": true}));
    browser.visit(&format!("http://{daemon}/"));
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn no_state_of_the_page_has_a_serious_finding() {
    let faults = std::array::from_fn(|raida| if raida == 3 { Fault::Dead } else { Fault::None });
    let mut settings = None;
    let (detour, relays) = behind_relays(faults, |config| {
        config.reloadable.max_sessions = 2;
        settings = Some(config.clone());
    })
    .await;
    let mut browser = console_for_axe(detour.daemon.address());
    live(&mut browser);
    check(&mut browser, "empty");
    go(&mut browser, "sessions");
    check(&mut browser, "without sessions");
    detour.create().await;
    until_sessions(&mut browser, 1);
    for view in ["overview", "raidas", "keys", "activity", "security", "api", "help", "sessions"] {
        go(&mut browser, view);
        if view == "raidas" {
            browser.click(".raida:nth-child(4)");
        }
        check(&mut browser, view);
    }
    browser.click(".session td:last-child button");
    check(&mut browser, "menu");
    browser.press("Escape");
    encrypt_panel(&mut browser);
    browser.click("#try-form .primary");
    browser.until_text("#try-result", "ciphertext");
    check(&mut browser, "a session's panel");
    close_panels(&mut browser);
    ask_to_delete(&mut browser);
    check(&mut browser, "asking");
    confirm(&mut browser);
    browser.until("document.querySelectorAll('.session').length === 0");
    go(&mut browser, "activity");
    browser.click("#activity-rows button");
    check(&mut browser, "a receipt");
    close_panels(&mut browser);
    browser.evaluate("document.querySelector('#shortcuts').showModal()");
    check(&mut browser, "shortcuts");
    close_panels(&mut browser);
    detour.create().await;
    (3..20).for_each(|raida| relays.spoil(raida, Fault::Dead));
    // This exchange only ends by its timeout.
    let mut impatient = settings.expect("settings");
    impatient.reloadable.exchange_timeout = Duration::from_secs(1);
    detour.daemon.reload(impatient.clone()).await.expect("a reload");
    fill_in(&mut browser, detour.network.wallet());
    browser.click("#open-fresh");
    browser.click("#open-button");
    browser.until_text("#open-result", "Too few RAIDAs answered");
    check(&mut browser, "failed");
    close_panels(&mut browser);
    (0..25).for_each(|raida| relays.spoil(raida, Fault::None));
    impatient.reloadable.exchange_timeout = PATIENCE;
    detour.daemon.reload(impatient).await.expect("a reload");
    detour.create().await;
    browser.until_text("#open-full", "All 2 sessions are in use");
    check(&mut browser, "full");
    detour.daemon.stop().await;
    browser.until_text("#lost", "The daemon does not respond.");
    check(&mut browser, "daemon gone");
    detour.network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_question_for_the_token_has_no_serious_finding() {
    let stage = Stage::with(|config| config.fixed.token = TokenRule::Required).await;
    let mut browser = console_for_axe(stage.daemon.address());
    browser.until_text("#token-title", "Enter the access token");
    check(&mut browser, "token");
    stage.stop().await;
}

/// Presses Tab until an element that matches a selector has the focus.
fn tab_to(browser: &mut Browser, selector: &str) {
    let there = format!("document.activeElement.matches({})", json!(selector));
    for _ in 0..60 {
        if browser.evaluate(&there) == true {
            return;
        }
        browser.press("Tab");
    }
    panic!("{selector} is not reached by Tab");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_is_enough() {
    let stage = Stage::new().await;
    let mut browser = console_of(stage.daemon.address());
    tab_to(&mut browser, ".nav a[href='#sessions']");
    browser.press("Enter");
    browser.until("document.activeElement.id === 'sessions'");
    tab_to(&mut browser, "#open-panel");
    browser.press("Enter");
    browser.until("document.activeElement.id === 'open-domain'");
    browser.order("Input.insertText", json!({"text": crate::support::DOMAIN}));
    tab_to(&mut browser, "#open-wallet");
    browser.order("Input.insertText", json!({"text": stage.network.wallet()}));
    browser.press("Enter");
    browser.until("document.activeElement.id === 'open-show'");
    browser.press("Enter");
    browser.until("document.querySelector('#session').open");
    tab_to(&mut browser, "#session-try");
    browser.press("Enter");
    browser.until("document.activeElement.id === 'try-text'");
    tab_to(&mut browser, "#try-form .primary");
    browser.press("Enter");
    browser.until_text("#try-result", "ciphertext");
    browser.press("Escape");
    browser.until("document.activeElement.matches('.session .row-open')");
    tab_to(&mut browser, ".session .icon-button");
    browser.press("Enter");
    browser.until("document.activeElement.textContent === 'Details'");
    browser.press("ArrowUp");
    browser.press("Enter");
    browser.until("document.activeElement.id === 'confirm-no'");
    tab_to(&mut browser, "#confirm-yes");
    std::thread::sleep(std::time::Duration::from_millis(450));
    browser.press("Enter");
    browser.until("document.querySelectorAll('.session').length === 0");
    browser.until("document.activeElement.id === 'open-panel'");
    go(&mut browser, "raidas");
    tab_to(&mut browser, ".raida");
    browser.press("ArrowDown");
    browser.press("ArrowRight");
    browser.until_text("#raida-detail", "RAIDA 6: healthy");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_cut_off_on_a_narrow_screen() {
    let stage = Stage::new().await;
    stage.create().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    for width in [390, 360, 320] {
        browser.appear((width, 800, 2), Theme::Light);
        for view in ["overview", "sessions", "raidas", "keys", "activity", "security", "api", "help"] {
            go(&mut browser, view);
            let wide = browser.evaluate("document.documentElement.scrollWidth");
            assert_eq!(wide, width, "{view} at {width}");
        }
        open_panel(&mut browser);
        let wide = browser.evaluate("document.querySelector('#open .drawer-body').scrollWidth");
        assert!(wide.as_u64().is_some_and(|wide| wide <= u64::from(width)), "{wide} at {width}");
        close_panels(&mut browser);
    }
    go(&mut browser, "sessions");
    ask_to_delete(&mut browser);
    confirm(&mut browser);
    browser.until("document.querySelectorAll('.session').length === 0");
    stage.stop().await;
}
