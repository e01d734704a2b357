//! The table of sessions: keyboard navigation, what stays in place after a deletion, receipts,
//! and the warnings across the top.

use rke_host::exports::ExportLabels;
use serde_json::json;

use super::pictures::{add_script, changed};
use super::{
    DESK, Program, ask_to_delete, choose, close_panels, confirm, console_of, go, live, until_said,
    until_sessions,
};
use crate::chromium::{Browser, Theme};
use crate::support::{DOMAIN, Stage};
use crate::wire::post_json;

#[tokio::test(flavor = "multi_thread")]
async fn after_a_deletion_the_next_row_has_the_focus_and_the_page_does_not_jump() {
    let stage = Stage::new().await;
    for _ in 0..4 {
        stage.create().await;
    }
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 4);
    browser.appear((1280, 320, 1), Theme::Light);
    browser.evaluate("document.querySelector('.session:nth-child(2)').scrollIntoView({ block: 'center' })");
    let place = "document.querySelector('.session:nth-child(3)').dataset.key";
    let next = browser.evaluate(place);
    let top = browser.evaluate("scrollY");
    browser.click(".session:nth-child(2) td:last-child button");
    browser.click("#menu button:nth-child(5)");
    confirm(&mut browser);
    browser.until("document.querySelectorAll('.session').length === 3");
    browser.until(&format!("document.activeElement.closest('tr').dataset.key === {next}"));
    let moved = browser.evaluate("scrollY").as_f64().zip(top.as_f64()).map(|(now, before)| now - before);
    assert!(moved.is_some_and(|moved| moved.abs() < 200.0), "{moved:?}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_lead_to_the_filter_a_new_session_and_the_list_of_them() {
    let stage = Stage::new().await;
    let mut browser = console_of(stage.daemon.address());
    browser.press("/");
    browser.until("document.activeElement.id === 'session-filter'");
    browser.press("n");
    browser.until("document.querySelector('#session-filter').value === 'n'");
    browser.evaluate("document.activeElement.blur()");
    browser.press("n");
    browser.until("document.querySelector('#open').open");
    browser.press("Escape");
    browser.until("!document.querySelector('#open').open");
    // A dialog that has just closed may still have the focus.
    browser.evaluate("document.activeElement.blur()");
    browser.press("?");
    browser.until_text("#shortcuts", "Filter the sessions");
    browser.press("Escape");
    browser.until("!document.querySelector('#shortcuts').open");
    for theme in ["light", "dark", "system"] {
        browser.click("#theme");
        browser.until(&format!("document.documentElement.dataset.theme === '{theme}'"));
        let dark = browser.evaluate("getComputedStyle(document.body).backgroundColor === 'rgb(13, 15, 16)'");
        assert_eq!(dark, theme == "dark", "{theme}");
    }
    assert_eq!(browser.evaluate("localStorage.length"), 0);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_opens_a_panel_with_all_that_is_known_and_a_menu_with_what_can_be_done() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    browser.click(".session td:nth-child(3)");
    browser.until_text("#session-title", DOMAIN);
    for part in
        [id.as_str(), "CONTENT-SERVER01", "Key id", "Proven coin", "256 bits", "Strongly, by 32-byte shares"]
    {
        browser.until_text("#session-facts", part);
    }
    assert_eq!(
        browser.evaluate("document.querySelectorAll('#session-raidas [data-state=used]').length > 12"),
        true
    );
    stage.get(&format!("/api/rke/session/delete?session_id={id}")).await;
    browser.until_text("#session-warnings", "This session has ended");
    browser.until("document.querySelector('#session-delete').disabled");
    close_panels(&mut browser);
    assert_eq!(stage.create().await["from_cache"], true);
    until_sessions(&mut browser, 1);
    browser.click(".row-open");
    browser
        .until_text("#session-facts", "256 bits, from the cache: no RAIDA was asked; this session’s own key");
    browser.until_text("#session-shares", "shares were used in that earlier exchange.");
    close_panels(&mut browser);
    choose(&mut browser, "4");
    until_said(&mut browser, "Renewed");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_leaves_a_receipt_that_can_be_read_and_copied() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    ask_to_delete(&mut browser);
    confirm(&mut browser);
    go(&mut browser, "activity");
    browser.until_text("#activity-rows", "Wiped at the Content Server");
    browser.until_text("#activity-rows", "Wiped there too");
    browser.click("#activity-rows [data-event=session_deleted] button");
    for part in ["Deleted by a request", "Has proven that it has wiped its copy", "nothing found", &id[..8]] {
        browser.until_text("#receipt-facts", part);
    }
    // With the date, the seconds and the time zone: a receipt is read elsewhere and later.
    let ended = browser.evaluate(
        "/Ended\\d{1,2} \\w+ \\d{4}, \\d\\d:\\d\\d:\\d\\d [A-Z][A-Z0-9+:-]*How/.test(document.querySelector('#receipt-facts').textContent)",
    );
    assert_eq!(ended, json!(true), "{}", browser.text("#receipt-facts"));
    browser.evaluate(
        "navigator.clipboard.writeText = async (text) => { window.copied = text }; document.querySelector('#receipt-copy').click()",
    );
    let copied = browser.evaluate("JSON.parse(window.copied)");
    assert_eq!(
        (&copied["event"], &copied["receipt"]["remote"]),
        (&json!("session_deleted"), &json!("forgotten"))
    );
    assert!(copied["receipt"]["wipe"]["hits"] == 0 && !copied.to_string().contains(&id), "{copied}");
    close_panels(&mut browser);
    browser.evaluate(
        "{ const field = document.querySelector('#activity-kind'); field.value = 'receipt'; field.dispatchEvent(new Event('change')) }",
    );
    browser.until("document.querySelectorAll('#activity-rows tr').length === 1");
    go(&mut browser, "overview");
    browser.until_text("#recent", "Deleted");
    browser.appear((360, 740, 1), Theme::Light);
    let whole = browser.evaluate(
        "[...document.querySelectorAll('#recent .what')].every((what) => what.scrollWidth <= what.clientWidth)",
    );
    assert_eq!(whole, json!(true), "{}", browser.text("#recent"));
    assert_eq!(browser.complaints(), [""; 0]);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_a_promise_stands_across_the_top_and_nothing_else_does() {
    // This process is neither hardened nor sandboxed.
    let stage = Stage::new().await;
    let mut browser = console_of(stage.daemon.address());
    browser.until_text("#banners", "Insecure debugging is on");
    browser.until_text("#banners", "The sandbox is off");
    go(&mut browser, "overview");
    browser.until_text("#summary .alarming", "Can attach");
    browser.until_text("#summary .doubtful", "Off");
    browser.evaluate("document.querySelector(\"#banners a[href='#help-debug']\").click()");
    browser.until_text("#help-debug", "debuggers and core dumps can read every key");
    stage.stop().await;
    let dir = tempfile::tempdir().expect("a folder");
    let program = Program::dev(dir.path(), &[]);
    let mut browser = console_of(program.daemon);
    assert_eq!(browser.text("#banners"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_column_is_narrower_than_its_heading_on_a_tablet() {
    let stage = Stage::new().await;
    stage.create().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    ask_to_delete(&mut browser);
    confirm(&mut browser);
    go(&mut browser, "activity");
    browser.until_text("#activity-rows", "Wiped there too");
    for width in [768, 900, 1280] {
        browser.appear((width, 1024, 1), Theme::Light);
        for view in ["sessions", "keys", "activity"] {
            go(&mut browser, view);
            let cut = browser.evaluate(&format!(
                "[...document.querySelectorAll('#{view} th')].filter(cell => cell.checkVisibility() && cell.scrollWidth \
                 > cell.clientWidth).map(cell => cell.textContent)"
            ));
            assert_eq!(cut, json!([]), "{view} at {width}");
        }
        let at_the_server = browser.evaluate(
            "{ const cell = [...document.querySelectorAll('#activity-rows td')].find(cell => cell.textContent === 'Wiped there too'); \
             cell.checkVisibility() && cell.scrollWidth <= cell.clientWidth }",
        );
        assert_eq!(at_the_server, json!(true), "{width}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_domain_of_an_event_is_whole_and_breaks_only_at_dots() {
    let stage = Stage::new().await;
    stage.create().await;
    let mut browser = Browser::start();
    let domains =
        ["content.example1", "staging.files.example", "one-long-name.of-a-library-in-a-town.example"];
    let change = format!(
        "body.events = {}.map((domain) => ({{ ...body.events.find((event) => event.domain), domain }}))",
        json!(domains)
    );
    add_script(&mut browser, &changed("activity", &change));
    browser.appear(DESK, Theme::Light);
    browser.visit(&format!("http://localhost:{}/#activity", stage.daemon.address().port()));
    live(&mut browser);
    browser.until("document.querySelectorAll('#activity-rows td:nth-child(3) span').length >= 3");
    let [short, longer, _] = domains;
    for width in [360, 641, 768, 900, 1040, 1280] {
        browser.appear((width, 900, 1), Theme::Light);
        let cut = browser.evaluate(
            "[...document.querySelectorAll('#activity-rows td')].filter((cell) => cell.checkVisibility() \
             && cell.scrollWidth > cell.clientWidth).map((cell) => cell.textContent)",
        );
        assert_eq!(cut, json!([]), "{width}");
        let names = "#activity-rows td:nth-child(3) > span";
        assert_eq!(browser.broken_words(names, "[\\w-]+"), json!([]), "{width}");
        let in_one_line = browser.evaluate(&format!(
            "[...document.querySelectorAll('{names}')].filter((name) => name.getBoundingClientRect().height < 30) \
             .slice(0, 2).map((name) => name.textContent)"
        ));
        assert_eq!(in_one_line, json!([short, longer]), "{width}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_shows_the_beginning_of_its_id_at_every_width() {
    let stage = Stage::new().await;
    let id = stage.create_id().await;
    let mut browser = console_of(stage.daemon.address());
    until_sessions(&mut browser, 1);
    for width in [360, 768, 1280] {
        browser.appear((width, 900, 1), Theme::Light);
        let shown = browser.evaluate(
            "{ const id = document.querySelector('.session .row-id'); const { width, right } = id.getBoundingClientRect(); \
             id.checkVisibility() && width > 40 && right < innerWidth ? id.textContent : null }",
        );
        assert_eq!(shown, json!(id[..8]), "{width}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_current_view_stays_in_sight_in_the_navigation_of_a_narrower_window() {
    let stage = Stage::new().await;
    let mut browser = console_of(stage.daemon.address());
    go(&mut browser, "help");
    browser.appear((360, 740, 1), Theme::Light);
    browser.until(
        "[document.querySelector('.nav a[aria-current]').getBoundingClientRect()] \
         .every(({ left, right }) => left >= 0 && right <= innerWidth)",
    );
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_button_opens_a_session_and_weak_shares_are_not_about_deletions() {
    let stage = Stage::new().await;
    let mut browser = console_of(stage.daemon.address());
    go(&mut browser, "sessions");
    browser.until("document.querySelector('#session-empty').checkVisibility()");
    let buttons = browser.evaluate(
        "[...document.querySelectorAll('#sessions button')].filter((one) => one.checkVisibility() && /open/i.test(one.textContent)) \
         .map((one) => one.textContent)",
    );
    assert_eq!(buttons, json!(["Open session"]));
    go(&mut browser, "security");
    browser.until_text("#memory-facts", "Weak shares allowed for");
    assert!(
        !browser.text("#deletions-facts").to_lowercase().contains("weak"),
        "{}",
        browser.text("#deletions-facts")
    );
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_which_keys_may_leave_and_how_many_have() {
    let stage = Stage::with(|config| {
        config.reloadable.allow_export = ExportLabels::new(vec!["rke-psk".into(), "vpn-*".into()]);
    })
    .await;
    let id = stage.create_id().await;
    let mut browser = console_of(stage.daemon.address());
    go(&mut browser, "security");
    browser.until_text("#memory-facts", "rke-psk, vpn-*");
    let exported = |count: u8| {
        format!(
            "[...document.querySelectorAll('#memory-facts dt')].some((name) => name.textContent === 'Keys exported' \
             && name.nextElementSibling.textContent === '{count}')"
        )
    };
    browser.until(&exported(0));
    let body = json!({"session_id": id, "label": "vpn-1", "length": 32});
    post_json(stage.daemon.address(), "export", &body).await.good();
    browser.until(&exported(1));
    stage.stop().await;
}
