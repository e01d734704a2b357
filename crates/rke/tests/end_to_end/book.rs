//! The book that the daemon serves, over HTTP and in a real browser without scripts.

use rke_engine::settings::access::TokenRule;
use serde_json::json;

use crate::chromium::{Browser, Theme};
use crate::console::check_with_axe;
use crate::support::{Stage, get};

/// The width of a phone, and that of a desk.
const WIDTHS: [u32; 2] = [390, 1280];

#[tokio::test(flavor = "multi_thread")]
async fn it_is_served_without_the_token_and_nothing_in_it_may_run() {
    let stage = Stage::with(|config| config.fixed.token = TokenRule::Required).await;
    let daemon = stage.daemon.address();
    let entered = get(daemon, "/book").await;
    assert_eq!((entered.status, entered.header("location")), (308, Some("/book/")));
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
            policy.starts_with("default-src 'none'") && !policy.contains("script-src"),
            "{target}: {policy}"
        );
        assert!(policy.contains("frame-ancestors 'none'"), "{target}: {policy}");
    }
    for page in ["/", "/docs"] {
        assert!(get(daemon, page).await.body.contains("href=\"/book/\""), "{page} does not link to the book");
    }
    for target in ["/book/nothing.html", "/book/..%2findex.html", "/book/%ff"] {
        assert_eq!(get(daemon, target).await.status, 404, "{target}");
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
