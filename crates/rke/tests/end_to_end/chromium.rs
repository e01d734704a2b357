//! Drives a real Chromium as a person would, with mouse, keyboard and eyes. It is told what to do in its
//! own protocol (DevTools), over a pipe.

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

/// Chromium reads its orders at descriptor 3 and answers at 4; the shell puts the pipes there.
const LAUNCH: &str = r#"exec chromium "$@" 3<&0 4>&1 </dev/null >/dev/null 2>&1"#;

/// The colours that the system asks pages for.
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
    /// An empty tab.
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

    /// Gives an order and waits for its answer.
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

    /// Keeps what the page complains about: errors that nobody caught, and what its policy forbade.
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

    /// What the page has complained about so far.
    pub(crate) fn complaints(&mut self) -> Vec<String> {
        self.evaluate("0");
        self.complaints.clone()
    }

    /// Goes to a URL and waits until the page is there.
    pub(crate) fn visit(&mut self, url: &str) {
        self.order("Page.navigate", json!({"url": url}));
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// What an expression of JavaScript gives; promises are waited for.
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
                panic!("{expression} did not come about; the page shows: {text}");
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// The visible text of the first element that a selector finds.
    pub(crate) fn text(&mut self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({}).innerText", json!(selector)));
        text.as_str().expect("text").to_owned()
    }

    /// Waits until an element is there to see and has a text in it.
    pub(crate) fn until_text(&mut self, selector: &str, text: &str) {
        let (find, text) = (format!("document.querySelector({})", json!(selector)), json!(text));
        self.until(&format!("{find}.checkVisibility() && {find}.innerText.includes({text})"));
    }

    /// Clicks into the middle of an element.
    pub(crate) fn click(&mut self, selector: &str) {
        let selector = json!(selector);
        self.until(&format!("document.querySelector({selector}).checkVisibility()"));
        let middle = self.evaluate(&format!(
            "(() => {{ const e = document.querySelector({selector}); e.scrollIntoView({{ block: 'center' }}); \
             const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2] }})()"
        ));
        for kind in ["mouseMoved", "mousePressed", "mouseReleased"] {
            let button = if kind == "mouseMoved" { "none" } else { "left" };
            let parameters =
                json!({"type": kind, "x": middle[0], "y": middle[1], "button": button, "clickCount": 1});
            self.order("Input.dispatchMouseEvent", parameters);
        }
    }

    /// Presses a key that has a name.
    pub(crate) fn press(&mut self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, ""),
            "Enter" => (13, "\r"),
            "Escape" => (27, ""),
            "ArrowLeft" => (37, ""),
            "ArrowUp" => (38, ""),
            "ArrowRight" => (39, ""),
            "ArrowDown" => (40, ""),
            _ => panic!("no such key: {key}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let parameters =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.order("Input.dispatchKeyEvent", parameters);
        }
    }

    /// Writes into a field in place of what it has.
    pub(crate) fn fill(&mut self, selector: &str, text: &str) {
        self.evaluate(&format!("document.querySelector({}).select()", json!(selector)));
        self.order("Input.insertText", json!({"text": text}));
    }

    /// Gives the page a size, in pixels of the page and of the screen, and a theme.
    pub(crate) fn appear(&mut self, (width, height, scale): (u32, u32, u32), theme: Theme) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": false});
        self.order("Emulation.setDeviceMetricsOverride", size);
        let theme = json!({"features": [{"name": "prefers-color-scheme", "value": theme.name()}]});
        self.order("Emulation.setEmulatedMedia", theme);
    }

    /// Takes a picture of what is in the window.
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
