//! The console in a real browser: its functions, its protection from others, its accessibility, and the pictures of
//! it.

mod access;
mod accessible;
mod live;
mod many;
mod pictures;
mod sessions;
mod table;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rke_engine::settings::Config;
use rke_raida::network::LocalNetwork;
use rustix::process::{Pid, Signal, kill_process};

use crate::chromium::{Browser, Theme};
use crate::records::{Detour, with_endpoints};
use crate::relay::{Fault, Relays};
use crate::support::DOMAIN;
pub(crate) use accessible::check as check_with_axe;

/// Width, height, and screen pixels per page pixel.
const DESK: (u32, u32, u32) = (1280, 900, 1);

/// A browser in which a daemon's console is open.
pub(crate) fn console_of(daemon: SocketAddr) -> Browser {
    let mut browser = Browser::start();
    browser.appear(DESK, Theme::Light);
    browser.visit(&format!("http://{daemon}/"));
    live(&mut browser);
    browser
}

fn live(browser: &mut Browser) {
    browser.until("document.body.dataset.link === 'live'");
    browser.until("!('loading' in document.querySelector('#console').dataset)");
}

/// Goes to a view.
pub(crate) fn go(browser: &mut Browser, view: &str) {
    browser.evaluate(&format!("location.hash = '{view}'"));
    browser.until(&format!("document.querySelector('#{view}').checkVisibility()"));
}

/// Opens the panel that opens sessions.
fn open_panel(browser: &mut Browser) {
    if browser.evaluate("document.querySelector('#open').open") == false {
        go(browser, "sessions");
        browser.click("#open-panel");
    }
    browser.until("document.querySelector('#open').open");
}

fn fill_in(browser: &mut Browser, wallet: &Path) {
    open_panel(browser);
    browser.fill("#open-domain", DOMAIN);
    browser.fill("#open-wallet", wallet.to_str().expect("UTF-8"));
}

/// Closes everything that covers the page.
fn close_panels(browser: &mut Browser) {
    browser.evaluate("document.querySelectorAll('dialog[open]').forEach((dialog) => dialog.close())");
}

/// Waits until the table shows this many sessions, with the state of each.
fn until_sessions(browser: &mut Browser, count: usize) {
    go(browser, "sessions");
    browser.until(&format!("document.querySelectorAll('.session .badge').length >= {count}"));
    browser.until(&format!("document.querySelectorAll('.session').length === {count}"));
}

/// Chooses an item from the menu of the first session.
fn choose(browser: &mut Browser, item: &str) {
    browser.click(".session td:last-child button");
    browser.until("document.querySelector('#menu').matches(':popover-open')");
    browser.click(&format!("#menu button:nth-child({item})"));
}

/// Requests the deletion of the first session, which opens a dialog.
fn ask_to_delete(browser: &mut Browser) {
    choose(browser, "5");
    browser.until("document.querySelector('#confirm').open");
}

/// Opens the panel of the first session, with the form for encrypting a message.
fn encrypt_panel(browser: &mut Browser) {
    choose(browser, "2");
    browser.until("document.querySelector('#try').checkVisibility()");
}

/// Presses the confirming button of the dialog, once the dialog accepts clicks.
fn confirm(browser: &mut Browser) {
    browser.until("document.querySelector('#confirm').open");
    std::thread::sleep(std::time::Duration::from_millis(450));
    browser.click("#confirm-yes");
}

/// Waits until a notice says this. It is only visible for some seconds, but stays in the page.
fn until_said(browser: &mut Browser, text: &str) {
    browser
        .until(&format!("document.querySelector('#said').textContent.includes({})", serde_json::json!(text)));
}

/// JavaScript for the number of cells in a state in the grid of shares.
fn cells(state: &str) -> String {
    format!("document.querySelectorAll('.share[data-state={state}]').length")
}

/// A daemon that reaches its RAIDAs through relays with these faults.
async fn behind_relays(faults: [Fault; 25], change: impl FnOnce(&mut Config)) -> (Detour, Relays) {
    let mut relays = None;
    let detour = async |network: &LocalNetwork, _: &tempfile::TempDir| {
        let started = Relays::start(network.node_addresses(), faults.to_vec(), 7).await;
        let records = with_endpoints(network, &started.endpoints());
        relays = Some(started);
        records
    };
    let detour = Detour::new(detour, change).await;
    (detour, relays.expect("the network has started"))
}

/// `rke` in a separate process.
pub(crate) struct Program {
    child: Child,
    pub(crate) daemon: SocketAddr,
}

impl Program {
    /// `rke dev` with free ports.
    pub(crate) fn dev(dir: &Path, more: &[&str]) -> Self {
        let ports = ["--raida-port", "0", "--dns-port", "0", "--content-server-port", "0"];
        let dir = ["--data-dir", dir.to_str().expect("UTF-8")];
        Self::start(&[&["dev", "--log", "info", "--listen", "127.0.0.1:0"], &ports[..], &dir, more].concat())
    }

    /// `rke serve`.
    fn serve(dir: &Path, listen: &str, more: &[&str]) -> Self {
        let dir = ["--data-dir", dir.to_str().expect("UTF-8")];
        Self::start(&[&["serve", "--listen", listen][..], &dir, more].concat())
    }

    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rke"));
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("rke runs");
        let mut log = BufReader::new(child.stderr.take().expect("a log")).lines().map_while(Result::ok);
        let line = log.find(|line| line.contains("listening")).expect("it listens");
        // A process blocks once the pipe for its log is full, so the log is read to its end.
        std::thread::spawn(move || log.count());
        let plain: String = line.chars().filter(|char| char.is_ascii_graphic() || *char == ' ').collect();
        let address = plain.split("127.0.0.1:").nth(1).or_else(|| plain.split("[::1]:").nth(1));
        let digits = address.expect("an address").chars().take_while(char::is_ascii_digit);
        let port: u16 = digits.collect::<String>().parse().expect("a port");
        let ip = if plain.contains("[::1]") { "[::1]" } else { "127.0.0.1" };
        Self { child, daemon: format!("{ip}:{port}").parse().expect("an address") }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file of the crate.
fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
