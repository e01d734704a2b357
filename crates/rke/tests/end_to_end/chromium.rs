//! Drives a real Chromium as a person would, with mouse, keyboard and eyes. The commands go over a pipe, in
//! Chromium's own protocol (DevTools).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// How long anything on a page may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Chromium reads commands from descriptor 3 and writes results to descriptor 4. The shell puts the pipes there.
const LAUNCH: &str = r#"exec chromium "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// How often a click is tried. A disabled button never receives one.
const CLICKS: usize = 5;

/// The middle of an element once it has been in the same place for a frame. From then on the page notes whether a click
/// reaches the element.
const WHERE_IT_STANDS: &str = "new Promise((done) => {
    let before = null;
    const look = () => {
        const element = document.querySelector(SELECTOR);
        if (!element) return requestAnimationFrame(look);
        element.scrollIntoView({ block: 'center', behavior: 'instant' });
        const { x, y, width, height } = element.getBoundingClientRect();
        const now = [x + width / 2, y + height / 2];
        if (before === null || before[0] !== now[0] || before[1] !== now[1]) {
            before = now;
            return requestAnimationFrame(look);
        }
        window.awaitedClick = 'missed';
        const note = (event) => { if (event.target.closest(SELECTOR)) window.awaitedClick = 'landed'; };
        window.addEventListener('click', note, { capture: true, once: true });
        done(now);
    };
    look();
})";

/// The colour scheme that the system requests from pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Theme {
    Light,
    Dark,
}

impl Theme {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }
}

/// A browser with one tab.
pub(crate) struct Browser {
    child: Child,
    orders: ChildStdin,
    answers: Receiver<Value>,
    tab: Option<String>,
    last_order: u64,
    complaints: Vec<String>,
    _profile: tempfile::TempDir,
}

impl Browser {
    /// Starts a browser with an empty tab.
    pub(crate) fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder");
        let mut command = Command::new("sh");
        command.args(["-c", LAUNCH, "sh", "--remote-debugging-pipe", "--headless", "--no-sandbox"]);
        command.args(["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"]);
        command.args(["--disable-background-networking", "--disable-sync", "--hide-scrollbars"]);
        command.args(["--host-resolver-rules=MAP *.test 127.0.0.1"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.expect("chromium is needed for this test");
        let (orders, output) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let (sender, answers) = channel();
        thread::spawn(move || {
            let messages = BufReader::new(output).split(0).map_while(Result::ok);
            messages.map_while(|bytes| serde_json::from_slice(&bytes).ok()).all(|m| sender.send(m).is_ok())
        });
        let (last_order, complaints) = (0, Vec::new());
        let mut browser =
            Self { child, orders, answers, tab: None, last_order, complaints, _profile: profile };
        browser.open_tab();
        browser
    }

    fn open_tab(&mut self) {
        let tab = self.order("Target.createTarget", json!({"url": "about:blank"}))["targetId"].clone();
        let attached = self.order("Target.attachToTarget", json!({"targetId": tab, "flatten": true}));
        self.tab = attached["sessionId"].as_str().map(ToOwned::to_owned);
        for domain in ["Page", "Runtime", "Log"] {
            self.order(&format!("{domain}.enable"), json!({}));
        }
    }

    /// Sends a command and waits for its result.
    pub(crate) fn order(&mut self, method: &str, parameters: Value) -> Value {
        self.last_order += 1;
        let mut order = json!({"id": self.last_order, "method": method, "params": parameters});
        if let Some(tab) = &self.tab {
            order["sessionId"] = json!(tab);
        }
        self.orders.write_all(format!("{order}\0").as_bytes()).expect("chromium listens");
        loop {
            let message = self.answers.recv_timeout(PATIENCE);
            let message = message.unwrap_or_else(|error| panic!("no answer to {method}: {error}"));
            if message["id"] == self.last_order {
                assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    /// Records the complaints of the page: uncaught errors, and violations of its policy.
    fn note(&mut self, message: &Value) {
        let (details, entry) = (&message["params"]["exceptionDetails"], &message["params"]["entry"]);
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.complaints.push(details.to_string()),
            Some("Log.entryAdded") if entry["level"] == "error" && entry["source"] != "network" => {
                self.complaints.push(entry["text"].to_string());
            }
            _ => (),
        }
    }

    /// The complaints of the page so far.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.evaluate("0");
        self.complaints.clone()
    }

    /// Goes to a URL and waits until the page has loaded.
    pub(crate) fn visit(&mut self, url: &str) {
        self.order("Page.navigate", json!({"url": url}));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// The value of a JavaScript expression. A promise is awaited.
    pub(crate) fn evaluate(&mut self, expression: &str) -> Value {
        let parameters = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let answer = self.order("Runtime.evaluate", parameters);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub(crate) fn until(&mut self, expression: &str) {
        let started = Instant::now();
        let tried = format!("(() => {{ try {{ return !!({expression}) }} catch {{ return false }} }})()");
        while self.evaluate(&tried) != true {
            if started.elapsed() > PATIENCE {
                let text = self.evaluate("document.body.innerText");
                panic!("{expression} did not become true; the page shows: {text}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The words of these elements that lines break. `word` is a regular expression of JavaScript.
    pub(crate) fn broken_words(&mut self, elements: &str, word: &str) -> Value {
        self.evaluate(&format!(
            "{{ const range = document.createRange(); const broken = []; \
             for (const element of document.querySelectorAll('{elements}')) {{ \
               const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT); \
               while (walker.nextNode()) for (const {{ 0: word, index }} of walker.currentNode.data.matchAll(/{word}/g)) {{ \
                 range.setStart(walker.currentNode, index); range.setEnd(walker.currentNode, index + word.length); \
                 const pieces = [...range.getClientRects()].filter(({{ width }}) => width > 0); \
                 if (new Set(pieces.map(({{ top }}) => Math.round(top))).size > 1) broken.push(word); }} }} \
             broken }}"
        ))
    }

    /// The visible text of the first element that matches a selector.
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({}).innerText", json!(selector)));
        text.as_str().expect("text").to_owned()
    }

    /// Waits until an element is visible and contains a text.
    pub(crate) fn until_text(&mut self, selector: &str, text: &str) {
        let (find, text) = (format!("document.querySelector({})", json!(selector)), json!(text));
        self.until(&format!("{find}.checkVisibility() && {find}.innerText.includes({text})"));
    }

    /// Clicks on the middle of an element that is visible and stands still. If the page moves all the same, so that the
    /// click lands on something else, it is repeated.
    pub(crate) fn click(&mut self, selector: &str) {
        let selector = json!(selector);
        self.until(&format!("document.querySelector({selector}).checkVisibility()"));
        for _ in 0..CLICKS {
            let middle = self.evaluate(&WHERE_IT_STANDS.replace("SELECTOR", &selector.to_string()));
            for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
                let button = if kind == "mouseMoved" { "none" } else { "left" };
                let parameters =
                    json!({"type": kind, "x": middle[0], "y": middle[1], "button": button, "clickCount": 1});
                self.order("Input.dispatchMouseEvent", parameters);
            }
            // Another page knows nothing of it: then the click has led there.
            if self.evaluate("window.awaitedClick") != "missed" {
                return;
            }
        }
    }

    /// Presses a named key, or types one character.
    pub(crate) fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            character if character.chars().count() == 1 => (0, character),
            _ => panic!("no such key: {key}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let parameters =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.order("Input.dispatchKeyEvent", parameters);
        }
    }

    /// Replaces the content of a field.
    pub(crate) fn fill(&mut self, selector: &str, text: &str) {
        self.evaluate(&format!("document.querySelector({}).select()", json!(selector)));
        self.order("Input.insertText", json!({"text": text}));
    }

    /// Sets the size of the page, its scale in screen pixels per page pixel, and a theme.
    pub(crate) fn appear(&mut self, (width, height, scale): (u32, u32, u32), theme: Theme) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": false});
        self.order("Emulation.setDeviceMetricsOverride", size);
        let theme = json!({"features": [{"name": "prefers-color-scheme", "value": theme.name()}]});
        self.order("Emulation.setEmulatedMedia", theme);
    }

    /// Takes a picture of the window.
    pub(crate) fn picture(&mut self, file: &Path) {
        let parameters = json!({"format": "png"});
        let picture = self.order("Page.captureScreenshot", parameters);
        let bytes = STANDARD.decode(picture["data"].as_str().expect("a picture")).expect("Base64");
        std::fs::write(file, bytes).expect("written");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
