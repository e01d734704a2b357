//! The book that the daemon serves, over HTTP and in a real browser without scripts.

use rke_engine::settings::access::TokenRule;
use serde_json::json;

use crate::chromium::{Browser, Theme};
use crate::console::check_with_axe;
use crate::support::{Stage, get, raw};

/// The width of a phone, and that of a desk.
const WIDTHS: [u32; 2] = [390, 1280];

#[tokio::test(flavor = "multi_thread")]
async fn it_is_served_without_the_token_and_nothing_inline_may_run() {
    let stage = Stage::with(|config| config.fixed.token = TokenRule::Required).await;
    let daemon = stage.daemon.address();
    for (from, to) in [("/book", "/book/"), ("/docs/", "/docs")] {
        let entered = get(daemon, from).await;
        assert_eq!((entered.status, entered.header("location")), (308, Some(to)));
    }
    for (target, kind) in [
        ("/book/", "text/html; charset=utf-8"),
        ("/book/errors.html", "text/html; charset=utf-8"),
        ("/book/book.css", "text/css; charset=utf-8"),
        ("/book/parts.svg", "image/svg+xml"),
    ] {
        let page = get(daemon, target).await;
        assert_eq!((page.status, page.header("content-type")), (200, Some(kind)), "{target}");
        let policy = page.header("content-security-policy").expect("a policy");
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("script-src 'unsafe"),
            "{target}: {policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{target}: {policy}");
    }
    for page in ["/", "/docs"] {
        assert!(get(daemon, page).await.body.contains("href=\"/book/\""), "{page} does not link to the book");
    }
    for target in ["/book/nothing.html", "/book/..%2findex.html", "/book/%ff"] {
        let missing = get(daemon, target).await;
        assert_eq!((missing.status, &missing.json()["code"]), (404, &json!(404)), "{target}");
        let accept = "host: localhost\r\naccept: text/html,*/*;q=0.8\r\nconnection: close";
        let page = raw(daemon, format!("GET {target} HTTP/1.1\r\n{accept}\r\n\r\n")).await;
        assert_eq!((page.status, page.header("content-type")), (404, Some("text/html; charset=utf-8")));
        assert!(page.body.contains("No such page") && page.body.contains("href=\"./\""), "{}", page.body);
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_read_without_scripts_and_loads_nothing_from_elsewhere() {
    let stage = Stage::new().await;
    let origin = format!("http://{}", stage.daemon.address());
    let mut browser = Browser::start();
    browser.order("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    for page in ["", "errors.html#error-503", "api.html", "security-reviewer.html"] {
        for width in WIDTHS {
            browser.appear((width, 900, 1), Theme::Light);
            browser.visit(&format!("{origin}/book/{page}"));
            browser.until("document.querySelector('.chapters a[aria-current]')");
            let wide = browser.evaluate("document.documentElement.scrollWidth > innerWidth");
            assert_eq!(wide, json!(false), "{page} is wider than {width}");
        }
        let loaded = "performance.getEntriesByType('resource').map((entry) => new URL(entry.name).origin)";
        let loaded = browser.evaluate(loaded);
        let loaded = loaded.as_array().expect("a list");
        assert!(!loaded.is_empty() && loaded.iter().all(|one| *one == json!(origin)), "{page}: {loaded:?}");
        assert_eq!(browser.complaints(), [""; 0], "{page}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_can_read_it() {
    let stage = Stage::new().await;
    let mut browser = Browser::start();
    browser.order("Page.setBypassCSP", json!({"enabled": true}));
    for page in ["", "errors.html", "security-reviewer.html"] {
        browser.visit(&format!("http://{}/book/{page}", stage.daemon.address()));
        browser.until("document.querySelector('.chapters a[aria-current]')");
        check_with_axe(&mut browser, page);
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reference_leads_to_what_an_error_means() {
    let stage = Stage::new().await;
    let mut browser = Browser::start();
    browser.visit(&format!("http://{}/docs#discover", stage.daemon.address()));
    let link = "/book/errors.html#error-502";
    browser.until(&format!("document.querySelector('#discover a[href=\"{link}\"]')"));
    browser.visit(&format!("http://{}{link}", stage.daemon.address()));
    browser.until("location.hash === '#error-502' && document.querySelector('tr:has(:target)')");
    assert_eq!(browser.complaints(), [""; 0]);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_looks_like_the_console_and_follows_the_theme_that_is_chosen_there() {
    let stage = Stage::new().await;
    let origin = format!("http://{}", stage.daemon.address());
    let mut browser = Browser::start();
    let look = "document.fonts.ready.then(() => { const { backgroundColor, color, fontFamily } = getComputedStyle(document.body); return JSON.stringify([\
        backgroundColor, color, fontFamily, document.fonts.check('1rem Inter'), getComputedStyle(document.querySelector('.mark-arc')).stroke]) })";
    for system in [Theme::Light, Theme::Dark] {
        browser.appear((1280, 900, 1), system);
        for chosen in ["light", "dark", "system"] {
            browser.visit(&format!("{origin}/"));
            browser.until(&format!("document.documentElement.dataset.theme === '{chosen}' || document.querySelector('#theme').click()"));
            let console = browser.evaluate(look);
            browser.visit(&format!("{origin}/book/"));
            browser.until("document.querySelector('.chapters a[aria-current]')");
            assert_eq!(browser.evaluate(look), console, "{chosen}");
        }
    }
    browser.visit(&format!("{origin}/book/nope.html"));
    browser.until_text("main", "No such page");
    browser.click("main a[href='./']");
    browser.until("location.pathname === '/book/'");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_text_of_a_picture_is_readable_on_a_phone() {
    let stage = Stage::new().await;
    let mut browser = Browser::start();
    browser.appear((360, 900, 1), Theme::Light);
    for page in ["", "cli.html", "performance.html", "protocol.html", "security-reviewer.html"] {
        browser.visit(&format!("http://{}/book/{page}", stage.daemon.address()));
        browser.until(
            "[...document.querySelectorAll('.picture img')].every((picture) => picture.naturalWidth > 0)",
        );
        // It is nearly as large as it is drawn, and what does not fit is scrolled to.
        let small = browser.evaluate(
            "[...document.querySelectorAll('main img')].filter(({ width, naturalWidth, parentElement }) => \
             width < 480 || width / naturalWidth < .7 || parentElement.scrollWidth < width).map(({ src }) => src)",
        );
        assert_eq!(small, json!([]), "{page}");
        let wide = browser.evaluate("document.documentElement.scrollWidth > innerWidth");
        assert_eq!(wide, json!(false), "{page}");
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_word_of_a_table_or_of_code_is_broken_on_a_phone() {
    let stage = Stage::new().await;
    let mut browser = Browser::start();
    browser.appear((360, 900, 1), Theme::Light);
    for page in ["cli.html", "errors.html", "configuration.html", "api.html", "content-server.html"] {
        browser.visit(&format!("http://{}/book/{page}", stage.daemon.address()));
        browser.until("document.querySelector('.chapters a[aria-current]')");
        assert_eq!(browser.broken_words("td, th", "[\\w.]+"), json!([]), "{page}");
        // A flag or the name of a file that fits a line.
        let word = "(?<![\\w.-])(?=[\\w.]*-)[\\w.-]{1,36}(?![\\w.-])";
        assert_eq!(browser.broken_words("main :not(pre) > code", word), json!([]), "{page}");
    }
    stage.stop().await;
}
