//! The pictures of states on a small network: no sessions, some, as many as there may be; and what a healthy one never does,
//! where the daemon's responses are made up.

use rke_engine::settings::access::TokenRule;
use serde_json::json;

use super::super::many::MANY;
use super::super::{choose, close_panels, encrypt_panel, go, live, open_panel, until_sessions};
use super::{Album, add_script, changed, scroll_to};
use crate::chromium::Browser;
use crate::support::{DOMAIN, Stage};

/// What is wrong with a daemon when a banner shows: the banner, the endpoint that says it, and how.
const BANNERS: [(&str, &str, &str); 9] = [
    ("residues", "status", "body.secret_memory.residues_found = 2"),
    ("debugging", "status", "body.secret_memory.inspection = 'allowed'"),
    ("weak", "sessions", "body.weak = 3"),
    (
        "raidas-short",
        "raidas",
        "body.raidas.forEach((row, at) => { if (at % 2) row.state = 'failing' }); body.raidas[0].state = 'lying'",
    ),
    (
        "raidas-none-spare",
        "raidas",
        "body.raidas.forEach((row, at) => { if (at % 2) row.state = 'failing' })",
    ),
    ("weakly", "sessions", "body.weakly_authenticated = 1"),
    ("sandbox-off", "status", "body.sandbox = { landlock: 'off', seccomp: false, no_new_privs: false }"),
    ("sandbox-incomplete", "status", "body.sandbox.landlock = 'off'"),
    ("pending", "status", "body.remote_deletions.pending = 2"),
];

/// Why a session is not opened: a name, the status and the message, and the parameter that it is about.
const FAILURES: [(&str, u16, &str, &str); 13] = [
    (
        "wallet",
        400,
        "Cannot use the wallet: /home/alice/wallet has usable coins for 9 of 13 RAIDAs",
        "wallet_path",
    ),
    ("request", 400, "Missing or invalid 'domain' parameter (expected a domain name)", "domain"),
    (
        "wallet-place",
        403,
        "The wallet leads out of the folder that the daemon's --wallet-root names",
        "wallet_path",
    ),
    (
        "weak",
        403,
        "content.rke.test offers only weak (1-byte) key shares, which make a key of 8 bits; to accept them, start the \
         daemon with --allow-weak-shares content.rke.test",
        "domain",
    ),
    (
        "weakly",
        403,
        "content.rke.test offers only weak (1-byte) key shares, by which the two ends of a session know each other only weakly; to accept \
         them, start the daemon with --allow-weak-shares content.rke.test",
        "domain",
    ),
    (
        "changed",
        403,
        "This daemon knows content.rke.test as the Content Server CONTENT-SERVER01 (wide), but DNS now names CONTENT-SERVER02 (wide). An \
         attack looks like this too. If the operator of content.rke.test confirms the change, run `rke trust accept --data-dir \
         /var/lib/rke content.rke.test CONTENT-SERVER02`, then try again",
        "domain",
    ),
    ("full", 429, "Maximum of 16 sessions reached", "domain"),
    ("internal", 500, "Internal error; the log says more", "domain"),
    (
        "dns",
        502,
        "DNS discovery failed: content.rke.test has no SRV record at _rke._udp.content.rke.test",
        "domain",
    ),
    (
        "server",
        502,
        "Cannot agree on a key with the Content Server at cs.content.rke.test:443: it refuses connections",
        "domain",
    ),
    (
        "unconfirmed",
        502,
        "The key was not confirmed: the Content Server at cs.content.rke.test:443 does not respond; to open sessions anyway, start the \
         daemon with --confirm try",
        "domain",
    ),
    ("shares", 502, "Only 11 of 13 required shares are right", "domain"),
    (
        "busy",
        503,
        "Another exchange for content.rke.test is still running; try again in a few seconds",
        "domain",
    ),
];

/// The console of a small network, with a script that runs before its own.
struct Console<'a> {
    stage: &'a Stage,
    browser: &'a mut Browser,
    album: &'a Album,
    /// Each has a URL of its own, for the page to be loaded again.
    visits: u32,
}

impl Console<'_> {
    /// Loads the console at a view with a script that runs before its own, and has `work` take pictures.
    fn with(&mut self, script: &str, view: &str, work: impl FnOnce(&mut Browser, &Album)) {
        let added = add_script(self.browser, script);
        self.visit(view);
        work(self.browser, self.album);
        self.browser.order("Page.removeScriptToEvaluateOnNewDocument", added);
    }

    fn visit(&mut self, view: &str) {
        self.visits += 1;
        let port = self.stage.daemon.address().port();
        self.browser.visit(&format!("http://localhost:{port}/?{}#{view}", self.visits));
        live(self.browser);
    }

    fn of_nothing(&mut self) {
        for view in ["overview", "sessions", "raidas", "keys"] {
            self.visit(view);
            self.album.take(self.browser, &format!("none-{view}"));
        }
    }

    fn of_other_views(&mut self) {
        self.visit("sessions");
        until_sessions(self.browser, 1);
        self.album
            .take_prepared(self.browser, "menu", |browser| browser.click(".session td:last-child button"));
        self.browser.press("Escape");
        encrypt_panel(self.browser);
        self.browser.click("#try-form .primary");
        self.browser.until_text("#try-result", "ciphertext");
        self.album.take_prepared(self.browser, "encrypting", scroll_to("#try"));
        close_panels(self.browser);
        choose(self.browser, "4");
        self.browser.until_text("#said", "Renewed");
        self.album.take(self.browser, "said");
        self.browser.until("!document.querySelector('#said').classList.contains('shown')");
        for view in ["keys", "api", "help"] {
            go(self.browser, view);
            self.album.take(self.browser, view);
        }
        self.browser.press("?");
        self.album.take(self.browser, "shortcuts");
    }

    fn of_banners(&mut self) {
        let mut all = String::new();
        for (name, path, change) in BANNERS {
            let script = changed(path, change);
            self.with(&script, "overview", |browser, album| {
                browser.until("document.querySelector('.banner p').checkVisibility()");
                album.take(browser, &format!("banner-{name}"));
            });
            all += &script;
        }
        self.with(&all, "overview", |browser, album| {
            browser.until("document.querySelectorAll('#banners .banner').length === 7");
            album.take(browser, "banners");
        });
    }

    fn of_failures(&mut self) {
        for (name, status, message, parameter) in FAILURES {
            let body = json!({"error": true, "message": message, "code": status, parameter: "…"});
            let answer = format!("return new Response(JSON.stringify({body}), {{ status: {status} }})");
            self.of_failure(name, &answer);
        }
        self.of_failure("unreachable", "throw new TypeError('Failed to fetch')");
    }

    fn of_failure(&mut self, name: &str, answer: &str) {
        let script = format!(
            "{{ const real = window.fetch; window.fetch = async (url, options) => {{
              if (!url.endsWith('/api/rke/session')) return real(url, options);
              {answer};
            }} }}"
        );
        self.with(&script, "sessions", |browser, album| {
            open_panel(browser);
            browser.fill("#open-domain", DOMAIN);
            browser.fill("#open-wallet", "/home/alice/wallet");
            browser.click("#open-button");
            browser.until("document.querySelector('#open-result .notice')");
            album.take_prepared(browser, &format!("failure-{name}"), scroll_to("#open-result"));
        });
    }

    fn of_many(&mut self) {
        let room = changed("status", "body.sessions.max = 20000");
        self.with(&format!("{{{MANY}}}{room}"), "sessions", |browser, album| {
            browser.until_text("#session-pager", "1–50 of 10,000");
            album.take(browser, "many");
            browser.click("#delete-all");
            album.take(browser, "deleting-many");
        });
    }

    /// As many sessions as there may be.
    async fn of_all(&mut self) {
        while self.stage.get(&self.stage.create_target()).await.status == 200 {}
        self.visit("sessions");
        until_sessions(self.browser, 16);
        self.album.take(self.browser, "full");
        open_panel(self.browser);
        self.album.take(self.browser, "full-opening");
    }
}

pub(super) async fn take(browser: &mut Browser, album: &Album) {
    let stage = Stage::new().await;
    let mut console = Console { stage: &stage, browser, album, visits: 0 };
    console.of_nothing();
    stage.create().await;
    console.of_other_views();
    console.of_banners();
    console.of_failures();
    console.of_many();
    console.of_all().await;
    console.visit("overview");
    stage.daemon.stop().await;
    browser.until_text("#lost", "The daemon does not respond.");
    album.take(browser, "away");
    stage.network.stop().await;

    let stage = Stage::with(|config| config.fixed.token = TokenRule::Required).await;
    browser.visit(&format!("http://localhost:{}/", stage.daemon.address().port()));
    browser.until_text("#token-title", "Enter the access token");
    album.take(browser, "token");
    browser.fill("#token-text", &"0".repeat(64));
    browser.press("Enter");
    browser.until_text("#token-wrong", "That is not the daemon’s token.");
    album.take(browser, "token-wrong");
    stage.stop().await;
}
