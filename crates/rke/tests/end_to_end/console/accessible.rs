//! Whether everybody can use it: no serious finding of axe-core in any state and theme, all by keyboard,
//! nothing cut off on a narrow screen.

use rke_engine::settings::access::TokenRule;
use serde_json::{Value, json};

use super::{DESK, behind_relays, beside, confirm, console_of, fill_in, live, until_sessions};
use crate::chromium::{Browser, Theme};
use crate::relay::Fault;
use crate::support::Stage;

/// Fails with what axe-core finds that is serious or critical, in both themes.
pub(crate) fn check(browser: &mut Browser, state: &str) {
    let axe = std::fs::read_to_string(beside("tests/axe/axe.min.js")).expect("axe-core");
    browser.evaluate(&axe);
    for theme in [Theme::Light, Theme::Dark] {
        browser.appear(DESK, theme);
        // Colours take a moment to get there.
        std::thread::sleep(std::time::Duration::from_millis(350));
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

/// The page with axe-core, which needs more than the page's policy allows.
fn console_for_axe(daemon: std::net::SocketAddr) -> Browser {
    let mut browser = Browser::start();
    browser.order("Page.setBypassCSP", json!({"enabled": true}));
    browser.visit(&format!("http://{daemon}/"));
    browser
}

#[tokio::test(flavor = "multi_thread")]
async fn no_state_of_the_page_has_a_serious_finding() {
    let faults = std::array::from_fn(|raida| if raida == 3 { Fault::Dead } else { Fault::None });
    let (detour, relays) = behind_relays(faults, |config| config.reloadable.max_sessions = 2).await;
    let mut browser = console_for_axe(detour.daemon.address());
    live(&mut browser);
    check(&mut browser, "empty");
    detour.create().await;
    until_sessions(&mut browser, 1);
    browser.click("#try-form .primary");
    browser.until_text("#try-result", "ciphertext");
    browser.click(".raida:nth-child(4)");
    check(&mut browser, "with a session");
    browser.click(".session > .danger");
    check(&mut browser, "asking");
    browser.press("Escape");
    (3..20).for_each(|raida| relays.spoil(raida, Fault::Dead));
    fill_in(&mut browser, detour.network.wallet());
    browser.click("#open-fresh");
    browser.click("#open-button");
    browser.until_text("#open-result", "Too few RAIDAs answered");
    check(&mut browser, "failed");
    (0..25).for_each(|raida| relays.spoil(raida, Fault::None));
    detour.create().await;
    browser.until_text("#open-full", "All 2 places are taken");
    check(&mut browser, "full");
    detour.daemon.stop().await;
    browser.until_text("#lost", "The daemon does not answer.");
    check(&mut browser, "daemon gone");
    detour.network.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_question_for_the_token_has_no_serious_finding() {
    let stage = Stage::with(|config| config.fixed.token = TokenRule::Required).await;
    let mut browser = console_for_axe(stage.daemon.address());
    browser.until_text("#token-title", "This daemon wants its token");
    check(&mut browser, "token");
    stage.stop().await;
}

/// Presses Tab until an element has the focus that a selector finds.
fn tab_to(browser: &mut Browser, selector: &str) {
    let there = format!("document.activeElement.matches({})", json!(selector));
    for _ in 0..40 {
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
    tab_to(&mut browser, "#open-domain");
    browser.order("Input.insertText", json!({"text": crate::support::DOMAIN}));
    tab_to(&mut browser, "#open-wallet");
    browser.order("Input.insertText", json!({"text": stage.network.wallet()}));
    browser.press("Enter");
    until_sessions(&mut browser, 1);
    tab_to(&mut browser, ".raida");
    browser.press("ArrowDown");
    browser.press("ArrowRight");
    browser.until_text("#raida-detail", "RAIDA 6 does well");
    browser.evaluate("document.activeElement.blur(); scrollTo(0, 0)");
    tab_to(&mut browser, ".session > .danger");
    browser.press("Enter");
    browser.until("document.activeElement.id === 'confirm-no'");
    tab_to(&mut browser, "#confirm-yes");
    std::thread::sleep(std::time::Duration::from_millis(450));
    browser.press("Enter");
    browser.until("document.querySelectorAll('.session').length === 0");
    browser.until("document.activeElement.id === 'sessions'");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_cut_off_on_a_narrow_screen() {
    let stage = Stage::new().await;
    stage.create().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    browser.click("#try-form .primary");
    browser.until_text("#try-result", "ciphertext");
    for width in [390, 320] {
        browser.appear((width, 800, 2), Theme::Light);
        let wide = browser.evaluate("document.documentElement.scrollWidth");
        assert_eq!(wide, width, "at {width}");
    }
    browser.click(".session > .danger");
    confirm(&mut browser);
    browser.until("document.querySelectorAll('.session').length === 0");
    stage.stop().await;
}
