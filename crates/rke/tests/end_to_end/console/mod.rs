//! The console in a real browser: what it does, what keeps others out of it, whether everybody can use
//! it, and the pictures of it.

mod access;
mod accessible;
mod live;
mod pictures;
mod sessions;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rke_engine::settings::Config;
use rke_raida::network::LocalNetwork;

use crate::chromium::{Browser, Theme};
use crate::records::{Detour, with_endpoints};
use crate::relay::{Fault, Relays};
use crate::support::DOMAIN;
pub(crate) use accessible::check as check_with_axe;

/// Width, height and pixels to a pixel of the page.
const DESK: (u32, u32, u32) = (1280, 900, 1);

/// A browser in which a daemon's console is open.
fn console_of(daemon: SocketAddr) -> Browser {
    let mut browser = Browser::start();
    browser.appear(DESK, Theme::Light);
    browser.visit(&format!("http://{daemon}/"));
    live(&mut browser);
    browser
}

fn live(browser: &mut Browser) {
    browser.until("document.body.dataset.link === 'live'");
    browser.until("document.querySelector('#memory-kind').textContent !== ''");
}

fn fill_in(browser: &mut Browser, wallet: &Path) {
    browser.fill("#open-domain", DOMAIN);
    browser.fill("#open-wallet", wallet.to_str().expect("UTF-8"));
}

/// Waits until the page shows so many sessions.
fn until_sessions(browser: &mut Browser, count: usize) {
    browser.until(&format!("document.querySelectorAll('.session .badge').length >= {}", 2 * count));
    browser.until(&format!("document.querySelectorAll('.session').length === {count}"));
}

/// Presses the button of the dialog that does it, once the dialog counts clicks.
fn confirm(browser: &mut Browser) {
    browser.until("document.querySelector('#confirm').open");
    std::thread::sleep(std::time::Duration::from_millis(450));
    browser.click("#confirm-yes");
}

/// How many cells of the grid of shares are in a state.
fn cells(state: &str) -> String {
    format!("document.querySelectorAll('.share[data-state={state}]').length")
}

/// A daemon that reaches its RAIDAs through relays which spoil what passes as `faults` says.
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

/// `rke` as a program of its own.
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
        // Whoever writes to a log that nobody reads stops in the end.
        std::thread::spawn(move || log.count());
        let plain: String = line.chars().filter(|char| char.is_ascii_graphic() || *char == ' ').collect();
        let address = plain.split("127.0.0.1:").nth(1).or_else(|| plain.split("[::1]:").nth(1));
        let digits = address.expect("an address").chars().take_while(char::is_ascii_digit);
        let port: u16 = digits.collect::<String>().parse().expect("a port");
        let ip = if plain.contains("[::1]") { "[::1]" } else { "127.0.0.1" };
        Self { child, daemon: format!("{ip}:{port}").parse().expect("an address") }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A file beside the tests.
fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
