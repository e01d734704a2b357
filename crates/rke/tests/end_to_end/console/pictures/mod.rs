//! Pictures of every state of the console, taken by `cargo xtask screenshots`: at three widths, in both themes. Those that a
//! page of the docs shows are in `docs/console`, all others in `target/screenshots`.

mod scenery;
mod states;

use std::path::PathBuf;
use std::time::Duration;

use rke_secret::process::{Inspection, harden};
use serde_json::json;

use super::beside;
use crate::chromium::{Browser, Theme};

/// A desk, a tablet and a phone.
const WINDOWS: [(u32, u32, u32); 3] = [(1280, 800, 2), (768, 1024, 2), (360, 740, 2)];

/// The pages that show pictures.
const PAGES: [&str; 2] = ["../../README.md", "../../docs/console.md"];

/// Whether the page has its own font. It never waits for it, so this may not be so at first.
const HAS_FONT: &str =
    "[...document.fonts].some((font) => font.status === 'loaded') && document.fonts.check('14px Inter')";

/// Where pictures go.
struct Album {
    /// The text of the pages that show pictures.
    pages: String,
}

impl Album {
    fn new() -> Self {
        let read = |page| std::fs::read_to_string(beside(page)).expect("a page");
        let album = Self { pages: PAGES.map(read).concat() };
        for folder in [album.shown(), album.others()] {
            std::fs::create_dir_all(folder).expect("a folder");
        }
        album
    }

    fn shown(&self) -> PathBuf {
        beside("../../docs/console")
    }

    fn others(&self) -> PathBuf {
        beside("../../target/screenshots")
    }

    /// Takes the state in which the console is.
    fn take(&self, browser: &mut Browser, state: &str) {
        self.take_prepared(browser, state, |_| ());
    }

    /// The same, where something has to be done again when the window has another size.
    fn take_prepared(&self, browser: &mut Browser, state: &str, prepare: impl Fn(&mut Browser)) {
        for size in WINDOWS {
            for theme in [Theme::Light, Theme::Dark] {
                browser.appear(size, theme);
                browser.until(HAS_FONT);
                // Nothing is highlighted by a mouse that a click has left there.
                browser.order("Input.dispatchMouseEvent", json!({"type": "mouseMoved", "x": 0, "y": 0}));
                prepare(browser);
                // Colours take a moment to get there.
                std::thread::sleep(Duration::from_millis(400));
                let name = format!("{state}-{}-{}.png", size.0, theme.name());
                let is_shown = self.pages.contains(&format!("console/{name}"));
                browser.picture(&if is_shown { self.shown() } else { self.others() }.join(name));
            }
        }
        browser.appear(WINDOWS[0], Theme::Light);
    }
}

/// Scrolls to an element, in what the page has over it too.
fn scroll_to(selector: &str) -> impl Fn(&mut Browser) {
    let script = format!("document.querySelector('{selector}').scrollIntoView({{ block: 'nearest' }})");
    move |browser| drop(browser.evaluate(&script))
}

/// A script that changes the daemon's responses at a path before the page sees them.
pub(super) fn changed(path: &str, change: &str) -> String {
    format!(
        "{{ const real = window.fetch; window.fetch = async (url, options) => {{
          const answer = await real(url, options);
          if (!url.endsWith('/api/rke/{path}')) return answer;
          const body = await answer.json();
          {change};
          return new Response(JSON.stringify(body), {{ headers: answer.headers }});
        }} }}"
    )
}

/// A script that runs before the page's own. Gives what takes it away again.
pub(super) fn add_script(browser: &mut Browser, script: &str) -> serde_json::Value {
    browser.order("Page.addScriptToEvaluateOnNewDocument", json!({"source": script}))
}

#[ignore = "writes the pictures of the docs; run by cargo xtask screenshots"]
#[tokio::test(flavor = "multi_thread")]
async fn pictures() {
    // Before the hardening, which would be the browser's too and is not made for its compiler.
    let mut browser = Browser::start();
    harden(Inspection::Refused).expect("hardened");
    // The pictures show a daemon in its sandbox. This process has none, for it starts a browser.
    let sandbox = "body.sandbox = { landlock: 'reads_and_writes', seccomp: true, no_new_privs: true }";
    add_script(&mut browser, &changed("status", sandbox));
    browser.appear(WINDOWS[0], Theme::Light);
    let album = Album::new();
    states::take(&mut browser, &album).await;
    scenery::take(&mut browser, &album).await;
}
