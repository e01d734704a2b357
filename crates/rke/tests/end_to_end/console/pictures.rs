//! The pictures in `docs/console`, taken by `cargo xtask screenshots`: a network with everything in it
//! that an operator may meet.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use rke_daemon::Daemon;
use rke_engine::Domain;
use rke_raida::content_server::{Application, DnsRecords, ServerConfig};
use rke_raida::dns::DnsServer;
use rke_secret::process::{Inspection, harden};

use super::{beside, cells, live, until_sessions};
use crate::chromium::{Browser, Theme};
use crate::liars::make_liars;
use crate::records::with_endpoints;
use crate::relay::{Fault, Relays};
use crate::support::{config, get, network_with, percent, raw};

const SIZES: [(u32, u32, u32); 2] = [(1280, 1000, 1), (390, 844, 2)];
const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

/// How long sessions live, and how far apart they are opened: the rings show it.
const LIFE: Duration = Duration::from_secs(120);
const APART: Duration = Duration::from_secs(26);

/// Exchanges before the first picture, for the RAIDAs to have a history.
const HISTORY: usize = 32;

/// A daemon whose DNS can be changed.
struct Scenery {
    daemon: SocketAddr,
    wallet: PathBuf,
    dns: Option<DnsServer>,
    at: SocketAddr,
}

impl Scenery {
    /// Has DNS answer with these records.
    async fn point(&mut self, records: &DnsRecords) {
        if let Some(dns) = self.dns.take() {
            dns.stop().await;
        }
        self.dns = Some(DnsServer::start(self.at, [records], LOOPBACK.ip()).await.expect("a DNS server"));
    }

    /// Opens a session some time after the one before.
    async fn open_later(&self, domain: &str) -> String {
        tokio::time::sleep(APART).await;
        self.open(domain).await
    }

    async fn open(&self, domain: &str) -> String {
        let wallet = percent(self.wallet.to_str().expect("UTF-8"));
        let target = format!("/api/rke/session?domain={domain}&wallet_path={wallet}&fresh=true");
        let created = get(self.daemon, &target).await;
        assert_eq!(created.status, 200, "{}", created.body);
        created.json()["session_id"].as_str().expect("an id").to_owned()
    }

    async fn encrypt(&self, id: &str, times: usize) {
        for _ in 0..times {
            get(self.daemon, &format!("/api/rke/encrypt?session_id={id}&plaintext=SGVsbG8=")).await;
        }
    }
}

/// Takes a scene in both sizes and themes, with one part of the page at the top.
fn take(browser: &mut Browser, scene: &str, part: &str) {
    for size in SIZES {
        for theme in [Theme::Light, Theme::Dark] {
            browser.appear(size, theme);
            browser.evaluate(&format!("document.querySelector('{part}').scrollIntoView()"));
            std::thread::sleep(Duration::from_millis(400));
            let name = format!("{scene}-{}-{}.png", size.0, theme.name());
            browser.picture(&beside("../../docs/console").join(name));
        }
    }
    browser.appear(SIZES[0], Theme::Light);
}

fn renamed(records: &DnsRecords, domain: &str) -> DnsRecords {
    DnsRecords { domain: domain.into(), host: format!("cs.{domain}"), ..records.clone() }
}

/// RAIDAs as they are: most answer at once, some take longer, one is away, one lies.
fn faults() -> [Fault; 25] {
    let mut faults = [Fault::None; 25];
    [6, 9, 13, 16, 22].into_iter().for_each(|raida| faults[raida] = Fault::Reordering);
    faults[18] = Fault::Lossy;
    faults
}

/// The domains of the sessions that are shown.
const DOMAINS: [&str; 5] =
    ["mail.example", "files.example", "staging.files.example", "museum.example", "content.rke.test"];

#[ignore = "writes the pictures of the docs; run by cargo xtask screenshots"]
#[tokio::test(flavor = "multi_thread")]
async fn pictures() {
    // Before the hardening, which would be the browser's too and is not made for its compiler.
    let mut browser = Browser::start();
    harden(Inspection::Refused).expect("hardened");
    std::fs::create_dir_all(beside("../../docs/console")).expect("a folder");
    let dir = tempfile::Builder::new().prefix("rke-").tempdir().expect("a folder");
    let mut server = ServerConfig::new(Application::Echo);
    server.rules.domains = DOMAINS.map(str::to_owned).to_vec();
    let mut network = network_with(&dir, server).await;
    let narrow = network.add_narrow_key_set().await.expect("a key set of narrow shares");
    let relays = Relays::start(network.node_addresses(), faults().to_vec(), 3).await;
    let records = with_endpoints(&network, &relays.endpoints());
    let dns = DnsServer::start(LOOPBACK, [&records], LOOPBACK.ip()).await.expect("a DNS server");
    let at = dns.address();
    let mut settings = config(&dir, at);
    settings.reloadable.exchange_timeout = Duration::from_secs(8);
    settings.reloadable.session_ttl = LIFE;
    settings.reloadable.allow_weak_shares = vec![Domain::new("museum.example").expect("a domain")];
    let daemon = Daemon::start(settings).await.expect("a daemon");
    let wallet = network.wallet().to_owned();
    let mut scenery = Scenery { daemon: daemon.address(), wallet, dns: Some(dns), at };
    browser.appear(SIZES[0], Theme::Light);
    browser.visit(&format!("http://localhost:{}/", scenery.daemon.port()));
    live(&mut browser);
    take(&mut browser, "empty", "body");

    scenery.point(&renamed(&records, "mail.example")).await;
    for turn in 0..HISTORY {
        relays.spoil(11, if turn % 9 > 6 { Fault::Dead } else { Fault::None });
        relays.spoil(20, if turn > 25 { Fault::Dead } else { Fault::None });
        if turn == HISTORY - 1 {
            make_liars(&network, &dir, 1).await;
        }
        let id = scenery.open("mail.example").await;
        if turn < HISTORY - 1 {
            get(scenery.daemon, &format!("/api/rke/session/delete?session_id={id}")).await;
        } else {
            scenery.encrypt(&id, 48).await;
        }
    }
    scenery.point(&renamed(&records, "files.example")).await;
    let id = scenery.open_later("files.example").await;
    scenery.encrypt(&id, 12).await;
    scenery.point(&renamed(&records, "staging.files.example")).await;
    scenery.open_later("staging.files.example").await;
    scenery.point(&renamed(&narrow, "museum.example")).await;
    scenery.open_later("museum.example").await;
    let attack = "DELETE /api/rke/sessions HTTP/1.1\r\nhost: localhost\r\norigin: https://free-wallpapers.example\r\nconnection: close\r\n\r\n";
    raw(scenery.daemon, attack).await;
    until_sessions(&mut browser, 4);
    browser.until_text("#gate-last", "free-wallpapers");
    browser.click("#try-form .primary");
    browser.until_text("#try-result", "ciphertext");
    browser.click(".raida:nth-child(1)");
    take(&mut browser, "sessions", "body");
    browser.click(".raida:nth-child(19)");
    take(&mut browser, "raidas", "#raidas");

    scenery.point(&renamed(&records, "content.rke.test")).await;
    (12..25).for_each(|raida| relays.spoil(raida, Fault::Dead));
    browser.fill("#open-domain", "content.rke.test");
    browser.fill("#open-wallet", scenery.wallet.to_str().expect("UTF-8"));
    browser.click("#open-button");
    browser.until(&format!("{} === 12", cells("answered")));
    take(&mut browser, "opening", "#open");
    browser.until_text("#open-result", "Too few RAIDAs answered");
    take(&mut browser, "failure", "#open");
    browser.click(".session > .danger");
    take(&mut browser, "deleting", "body");
    drop(scenery.dns.take());
    daemon.stop().await;
    network.stop().await;
}
